include(cores/avr.cmake)
