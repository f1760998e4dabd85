// The smallest first process: ends the VM at once. What bare QEMU boots in bench/cold_run.py.
#include <sys/reboot.h>

int main() { return ::reboot(RB_AUTOBOOT); }
