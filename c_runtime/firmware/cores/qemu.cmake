# lenet_use_qemu(PROGRAM qemu-system-arm PACKAGE qemu-system-arm OPTIONS ...): writes `emulate`.
function(lenet_use_qemu)
    cmake_parse_arguments(PARSE_ARGV 0 arg "" "PROGRAM;PACKAGE" "OPTIONS")
    find_program(LENET_QEMU ${arg_PROGRAM} DOC "The emulator of the board" NO_CMAKE_FIND_ROOT_PATH)
    if(NOT LENET_QEMU)
        set(missing "${arg_PROGRAM} is not found in PATH: install Debian's ${arg_PACKAGE}"
            PARENT_SCOPE)
        return()
    endif()
    list(JOIN arg_OPTIONS " " options)
    configure_file(cores/qemu.sh.in "${CMAKE_BINARY_DIR}/emulate" @ONLY
        FILE_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE)
endfunction()
