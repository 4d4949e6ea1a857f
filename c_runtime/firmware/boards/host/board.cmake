# An ordinary program. CMAKE_CROSSCOMPILING_EMULATOR runs that of another machine, say qemu-ppc.
# It has no counter.
list(REMOVE_ITEM programs check_count)
list(JOIN CMAKE_CROSSCOMPILING_EMULATOR " " launcher)
configure_file(cores/plain.sh.in "${CMAKE_BINARY_DIR}/emulate" @ONLY
    FILE_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE)
