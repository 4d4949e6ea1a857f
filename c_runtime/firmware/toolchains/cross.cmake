# A compiler of chips without an operating system; the files beside this one say which.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)

find_program(LENET_CROSS_COMPILER ${compiler} DOC "The cross compiler")
if(NOT LENET_CROSS_COMPILER)
    message(FATAL_ERROR
        "${compiler} is not found in PATH\n  install it; Debian's packages are ${packages}")
endif()
set(CMAKE_C_COMPILER "${LENET_CROSS_COMPILER}")
set(CMAKE_ASM_COMPILER "${LENET_CROSS_COMPILER}")
