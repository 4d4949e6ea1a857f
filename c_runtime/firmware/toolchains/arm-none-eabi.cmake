set(CMAKE_SYSTEM_PROCESSOR arm)
set(compiler arm-none-eabi-gcc)
set(packages gcc-arm-none-eabi)
include("${CMAKE_CURRENT_LIST_DIR}/cross.cmake")
