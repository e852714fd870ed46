# Read by CMake when llama.cpp's own project begins, for the build of llama-cpp-python that tests use: without the
# library that llama.cpp's own programs share, which no binding needs and which takes most of the time.
set(LLAMA_BUILD_COMMON OFF)
