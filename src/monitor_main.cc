#include "runtime/monitor/monitor.h"

int main(int argc, char** argv) { return diatom::monitor_main(argc, argv); }
