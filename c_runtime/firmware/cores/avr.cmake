# An AVR in simavr, which calls the board's chip LENET_MACHINE. The simulator is a program of the host,
# so the host's compiler makes it.
list(APPEND sources cores/avr.c cores/avr.S)
find_path(
    LENET_SIMAVR simavr/sim_avr.h
    PATHS /usr/include /usr/local/include
    DOC "Headers of libsimavr"
    NO_CMAKE_FIND_ROOT_PATH)
if(NOT LENET_HOST_COMPILER)
    set(missing "the host has no C compiler: install Debian's gcc")
elseif(NOT LENET_SIMAVR)
    set(missing "libsimavr is not found: install Debian's libsimavr-dev")
else()
    set(simulate "${CMAKE_BINARY_DIR}/simulate")
    add_custom_command(
        OUTPUT "${simulate}"
        COMMAND "${LENET_HOST_COMPILER}" -std=c99 -O2
                -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror
                "-I${LENET_SIMAVR}" -o "${simulate}"
                "${CMAKE_CURRENT_SOURCE_DIR}/cores/simulate.c" -lsimavr
        DEPENDS cores/simulate.c
        COMMENT "Building the simulator"
        VERBATIM)
    add_custom_target(simulator ALL DEPENDS "${simulate}")
    set(launcher "\"${simulate}\" ${LENET_MACHINE}")
    configure_file(cores/plain.sh.in "${CMAKE_BINARY_DIR}/emulate" @ONLY
        FILE_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE)
endif()
