set(CMAKE_SYSTEM_PROCESSOR avr)
set(compiler avr-gcc)
set(packages "gcc-avr and avr-libc")
include("${CMAKE_CURRENT_LIST_DIR}/cross.cmake")
