set(CMAKE_SYSTEM_PROCESSOR riscv32)
set(compiler riscv64-unknown-elf-gcc)
set(packages gcc-riscv64-unknown-elf)
include("${CMAKE_CURRENT_LIST_DIR}/cross.cmake")
