list(APPEND sources cores/aarch64.S cores/semihosting.c)
list(APPEND linker_scripts boards/virt-aarch64/board.ld)
list(APPEND link_options
    -nostdlib
    -static
    -Wl,--build-id=none
    "-T${CMAKE_CURRENT_SOURCE_DIR}/boards/virt-aarch64/board.ld"
    -Wl,--no-warn-rwx-segments)
list(APPEND link_libraries gcc)
include(cores/qemu.cmake)
lenet_use_qemu(
    PROGRAM qemu-system-aarch64
    PACKAGE qemu-system-arm
    OPTIONS -cpu cortex-a76 -nic none -icount shift=4)
