/* ---- Pictures -------------------------------------------------------------------------------- */

/* Rows and columns of a picture: at least the one, at most the other. */
#define LENET_PICTURE_LEAST 12
#define LENET_PICTURE_MOST 1024

/* Of one whose rows come once, and are not kept, the longer side at most this times the other. */
#define LENET_SCAN_RATIO 16

/* What was found in a picture. */
typedef struct {
    int is_dark;                  /* 1 if the ink is darker than the paper, else 0 */
    int top, left, bottom, right; /* the ink's box in pixels; bottom, right outside */
    int contrast;                 /* between ink and paper, 0 to 255 */
} lenet_prepared;

/* Scratch memory of one preparation; memory of one picture's reading, and of one scan's: see below. */
typedef struct lenet_preparation lenet_preparation;
typedef struct lenet_picture lenet_picture;
typedef struct lenet_scan lenet_scan;

/* Brings a picture to the convention of the training images: paper and light taken away, the ink
 * in a box of 5/7 of the image, its strongest 255, its centre of mass in the middle.
 *
 * pixels  `rows` rows of `columns` bytes; a row begins `stride` bytes behind the one above
 *
 * Returns LENET_ACCEPTED; LENET_NO_INK if nothing stands out from the paper; LENET_NO_PICTURE if the
 * pixels are null, a side is none of LENET_PICTURE_LEAST to _MOST, or the stride is less than a
 * row. In these two cases the image is empty and the numbers are 0. Nothing but the rows' bytes is
 * read. Works in constant memory; the digit's longer side must be at least 1/16 of the picture's. */
lenet_verdict lenet_prepare(lenet_preparation *ws, const uint8_t *pixels, int rows, int columns,
                            int32_t stride, uint8_t image[LENET_ROWS * LENET_COLUMNS],
                            lenet_prepared *prepared);

/* The same of a picture that is not in memory: row(source, y) gives `columns` bytes, which stay until
 * the next call; a null pointer, or no function, ends it with LENET_NO_PICTURE. Rows are asked for up to
 * seven times, downwards each time. */
lenet_verdict lenet_prepare_rows(lenet_preparation *ws, const uint8_t *(*row)(void *source, int y),
                                 void *source, int rows, int columns,
                                 uint8_t image[LENET_ROWS * LENET_COLUMNS],
                                 lenet_prepared *prepared);

/* Reads the digit in a picture, as lenet_prepare and then lenet_read do; afterwards ws->image is what
 * the network saw. Without a picture or ink the digit is -1, the gap 0, and the verdict says why. */
{% if cpu.is_generic %}
#ifdef __SDCC
void lenet_read_picture(lenet_picture *ws, const uint8_t *pixels, int rows, int columns,
                        int32_t stride, lenet_reading *reading);
void lenet_read_picture_rows(lenet_picture *ws, const uint8_t *(*row)(void *source, int y),
                             void *source, int rows, int columns, lenet_reading *reading);
#else
{% endif %}
lenet_reading lenet_read_picture(lenet_picture *ws, const uint8_t *pixels, int rows, int columns,
                                 int32_t stride);
lenet_reading lenet_read_picture_rows(lenet_picture *ws, const uint8_t *(*row)(void *source, int y),
                                      void *source, int rows, int columns);
{% if cpu.is_generic %}
#endif
{% endif %}

/* Reads the digit in a picture whose rows come once, from the top, as from a scanner, and are not kept:
 * begin, `rows` rows of `columns` bytes, finish. Pictures with a side of more than 64 pixels are shrunk as
 * they come, the longer side to 64: the digit's should be 3/10 of it or more.
 *
 * The reading is as lenet_read_picture's; afterwards ws->prepared is what was found, and
 * ws->shared.read.image what the network saw. Its verdict is LENET_NO_PICTURE if a side is none of
 * LENET_PICTURE_LEAST to _MOST, or one more than LENET_SCAN_RATIO times the other; LENET_MISCOUNTED if not
 * exactly `rows` rows came since lenet_scan_begin, or one was a null pointer. Without lenet_scan_begin
 * nothing is read but `columns` bytes of a row, and nothing written outside the workspace. */
void lenet_scan_begin(lenet_scan *ws, int rows, int columns);
void lenet_scan_row(lenet_scan *ws, const uint8_t *row);
{% if cpu.is_generic %}
#ifdef __SDCC
void lenet_scan_finish(lenet_scan *ws, lenet_reading *reading);
#else
{% endif %}
lenet_reading lenet_scan_finish(lenet_scan *ws);
{% if cpu.is_generic %}
#endif
{% endif %}
