#include "cli/command.h"

int main(int argc, char** argv) { return diatom::cli::main(argc, argv); }
