# Runs a command; fails unless its exit status and all its output are as expected. For ctest, whose
# PASS_REGULAR_EXPRESSION does not look at the exit status.
#
#     cmake -DSTATUS=0 -DOUTPUT=regex -P expect.cmake -- command arguments...
cmake_minimum_required(VERSION 3.20)

set(command "")
set(is_command FALSE)
math(EXPR last "${CMAKE_ARGC} - 1")
foreach(place RANGE ${last})
    if(is_command)
        list(APPEND command "${CMAKE_ARGV${place}}")
    elseif("${CMAKE_ARGV${place}}" STREQUAL "--")
        set(is_command TRUE)
    endif()
endforeach()
execute_process(
    COMMAND ${command}
    RESULT_VARIABLE status
    OUTPUT_VARIABLE output
    ERROR_VARIABLE output)
string(STRIP "${output}" output)
if(NOT status STREQUAL STATUS OR NOT output MATCHES "^(${OUTPUT})$")
    message(FATAL_ERROR "exit status ${status}, expected ${STATUS}; output:\n${output}")
endif()
