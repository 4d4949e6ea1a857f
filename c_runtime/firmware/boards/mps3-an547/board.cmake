include(cores/arm.cmake)
