/* two_models.c - two exports in one program: int8 beside float32, on the same image.
 *
 * CMakeLists.txt exports both when it builds. Input, from stdin: 28 rows of 28 bytes.
 *
 *     tail -c 784 ../digit.pgm | build/two_models
 */
#include "digits.h"
#include "digits_float.h"

#include <stdio.h>
#ifdef _WIN32 /* where standard input is text, unless one asks for bytes */
#include <fcntl.h>
#include <io.h>
#endif

int main(void)
{
    static digits_workspace ws;
    static digits_float_workspace float_ws;
    uint8_t image[DIGITS_ROWS * DIGITS_COLUMNS];
#ifdef _WIN32
    _setmode(_fileno(stdin), _O_BINARY);
#endif
    if (fread(image, 1, sizeof image, stdin) != sizeof image) {
        fprintf(stderr, "two_models: error: stdin: ends before %u bytes\n  give one whole image\n",
                (unsigned)sizeof image);
        return 1;
    }
    digits_reading reading = digits_read(&ws, image);
    digits_float_reading float_reading = digits_float_read(&float_ws, image);
    printf("int8 digit %d, gap %ld, %s\n", reading.digit, (long)reading.gap,
           reading.accepted ? "accepted" : "rejected");
    printf("float32 digit %d, gap %.2f\n", float_reading.digit, (double)float_reading.gap);
    return 0;
}
