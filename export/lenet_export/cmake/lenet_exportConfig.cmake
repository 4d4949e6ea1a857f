# find_package(lenet_export): lenet_add_model(), and where the project is installed, lenet::lenet.
include("${CMAKE_CURRENT_LIST_DIR}/lenet_add_model.cmake")
include("${CMAKE_CURRENT_LIST_DIR}/lenet_exportTargets.cmake" OPTIONAL)

# An environment of Python has its programs in bin, and this file in
# lib/python3.x/site-packages/lenet_export/cmake.
lenet_find_export(HINTS "${CMAKE_CURRENT_LIST_DIR}/../../../../../bin")
