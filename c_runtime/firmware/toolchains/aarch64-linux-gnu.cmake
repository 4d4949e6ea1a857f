set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(compiler aarch64-linux-gnu-gcc)
set(packages gcc-aarch64-linux-gnu)
include("${CMAKE_CURRENT_LIST_DIR}/cross.cmake")
