# Runs the firmware on a picture of a 3. Fails unless its logits are those of the reference, byte by
# byte, and the digit is read.
#
#     cmake -DEMULATE=script -DFIRMWARE=program -DREFERENCE=program -DPICTURE=file -DFOLDER=scratch
#           -P check_digit.cmake
cmake_minimum_required(VERSION 3.20)

function(run)
    execute_process(COMMAND ${ARGV} RESULT_VARIABLE status)
    if(NOT status STREQUAL 0)
        message(FATAL_ERROR "exit status ${status} of ${ARGV}")
    endif()
endfunction()

set(image "${FOLDER}/digit.bin")
run(sh -c [[tail -c 784 "$0" >"$1"]] "${PICTURE}" "${image}")
run("${EMULATE}" "${FIRMWARE}" "${image}" "${FOLDER}/digit.record")
run("${REFERENCE}" "${image}" "${FOLDER}/reference.record")
file(READ "${FOLDER}/digit.record" logits LIMIT 40 HEX)
file(READ "${FOLDER}/reference.record" expected LIMIT 40 HEX)
if(NOT logits STREQUAL expected)
    message(FATAL_ERROR "the logits differ from the reference's:\n${logits}\n${expected}")
endif()

# Numbers are lowest byte first; with the sign's bit turned over they compare as unsigned ones.
set(largest -1)
foreach(digit RANGE 9)
    math(EXPR place "8 * ${digit}")
    string(SUBSTRING "${logits}" ${place} 8 bytes)
    string(REGEX REPLACE "(..)(..)(..)(..)" [[0x\4\3\2\1]] number "${bytes}")
    math(EXPR number "${number} ^ 0x80000000")
    if(number GREATER largest)
        set(largest ${number})
        set(guess ${digit})
    endif()
endforeach()
if(NOT guess EQUAL 3)
    message(FATAL_ERROR "the picture of a 3 is read as ${guess}")
endif()
