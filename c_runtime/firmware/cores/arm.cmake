# A Cortex-M in QEMU: the board's folder has board.c and memory.ld.
list(APPEND sources cores/arm.c cores/arm.S cores/semihosting.c)
list(APPEND linker_scripts cores/arm.ld boards/${LENET_BOARD}/memory.ld)
list(APPEND link_options
    -nostdlib
    "-L${CMAKE_CURRENT_SOURCE_DIR}/boards/${LENET_BOARD}"
    "-T${CMAKE_CURRENT_SOURCE_DIR}/cores/arm.ld")
list(APPEND link_libraries gcc)
include(cores/qemu.cmake)
lenet_use_qemu(PROGRAM qemu-system-arm PACKAGE qemu-system-arm OPTIONS -icount shift=10)
