list(APPEND sources cores/riscv.S cores/semihosting.c)
list(APPEND linker_scripts boards/virt/board.ld)
list(APPEND link_options
    -nostdlib
    "-T${CMAKE_CURRENT_SOURCE_DIR}/boards/virt/board.ld"
    -Wl,--no-warn-rwx-segments)
list(APPEND link_libraries gcc)
include(cores/qemu.cmake)
lenet_use_qemu(
    PROGRAM qemu-system-riscv32 PACKAGE qemu-system-misc OPTIONS -icount shift=0 -bios none)
