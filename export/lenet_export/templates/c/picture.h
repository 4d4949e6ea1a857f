/* ---- Pictures -------------------------------------------------------------------------------- */

/* Rows and columns of a picture: at least the one, at most the other. */
#define LENET_PICTURE_LEAST 12
#define LENET_PICTURE_MOST 1024

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
#ifdef __SDCC
void lenet_read_picture(lenet_picture *ws, const uint8_t *pixels, int rows, int columns,
                        int32_t stride, lenet_reading *reading);
void lenet_read_picture_rows(lenet_picture *ws, const uint8_t *(*row)(void *source, int y),
                             void *source, int rows, int columns, lenet_reading *reading);
#else
lenet_reading lenet_read_picture(lenet_picture *ws, const uint8_t *pixels, int rows, int columns,
                                 int32_t stride);
lenet_reading lenet_read_picture_rows(lenet_picture *ws, const uint8_t *(*row)(void *source, int y),
                                      void *source, int rows, int columns);
#endif

/* Reads the digit in a picture whose rows come once, from the top, as from a scanner, and are not kept:
 * begin, `rows` rows of `columns` bytes, finish. Pictures with a side of more than 64 pixels are shrunk as
 * they come, the longer side to 64: the digit's should be 3/10 of it or more.
 *
 * The reading is as lenet_read_picture's; afterwards ws->prepared is what was found, and
 * ws->shared.read.image what the network saw. Its verdict is LENET_NO_PICTURE if a side is none of
 * LENET_PICTURE_LEAST to _MOST, or one more than 16 times the other; LENET_MISCOUNTED if not exactly
 * `rows` rows came since lenet_scan_begin, a null pointer being no row. Without lenet_scan_begin
 * nothing is read but `columns` bytes of a row, and nothing written outside the workspace. */
void lenet_scan_begin(lenet_scan *ws, int rows, int columns);
void lenet_scan_row(lenet_scan *ws, const uint8_t *row);
#ifdef __SDCC
void lenet_scan_finish(lenet_scan *ws, lenet_reading *reading);
#else
lenet_reading lenet_scan_finish(lenet_scan *ws);
#endif

/* What memory holds. The view is the picture, or means of 2x2 or 3x3 pixels of a large one. */
enum {
    LENET_VIEW_SIDE = 342, /* a third of a picture's, at most */
    LENET_TILES = 8,       /* a side */
    LENET_CELLS = 64,      /* a side, of one or more pixels each */
    LENET_SCAN_SIDE = 64,  /* of what is kept of a scan, at most */
    LENET_SCAN_RATIO = 16, /* of its sides, at most */
    LENET_SCAN_PIXELS = LENET_SCAN_SIDE * LENET_SCAN_SIDE
};

/* What comes line by line, and is shrunk as it comes. */
typedef struct {
    int lines, size;           /* so many lines of so many pixels */
    int kept_lines, kept_size; /* what is kept of both */
    int given, left;           /* lines that came, and that are to come */
    uint32_t rest;             /* of the last line, for the next one that is kept */
} lenet_arrival;

/* The paper that ink stands on. */
typedef struct {
    int rows, columns;                        /* in pixels */
    int tiles;                                /* a side */
    int32_t down, across;                     /* from a pixel to the next, in 1/65536 of a tile */
    uint8_t dark;                             /* 255 where ink is darker than paper, else 0 */
    uint8_t level[LENET_TILES * LENET_TILES]; /* of each tile */
} lenet_paper;

/* What the light is found by. */
typedef struct {
    uint8_t mean[LENET_TILES * LENET_TILES]; /* of each tile */
    union {
        struct {
            uint32_t sum[LENET_TILES * LENET_TILES], count[LENET_TILES * LENET_TILES];
        } tile;
        uint32_t histogram[511]; /* of differences from the paper, from -255 */
    } shared;
} lenet_light;

/* A set of cells: cell x of row y is bit x % 32 of row[y][x / 32]. */
typedef struct {
    uint32_t row[LENET_CELLS][LENET_CELLS / 32];
} lenet_cells;

/* A picture on its way to an image. */
typedef struct {
    const uint8_t *(*row)(void *source, int y); /* gives row y of the picture */
    void *source;                               /* is handed to it */
    uint8_t *strip;                             /* rows of the view: the last three, or all */
    int16_t *difference;                        /* of a row from the paper */
    uint8_t *ink[2];                            /* two rows of the box and around */
    int shrink;                                 /* this many pixels a side are one of the view */
    int kept, held;                             /* rows in the strip; the last one of them */
    int cell;                                   /* pixels of the view, a side */
    uint8_t is_broken;                          /* a row of the picture was a null pointer */
    lenet_paper paper;
    /* Needed one after the other. */
    union {
        struct {
            uint32_t line[LENET_SCAN_SIDE], sum[LENET_SCAN_SIDE];
        } scan;
        lenet_light light;
        struct {
            lenet_cells ink, faint, left, piece;
            uint8_t count[LENET_CELLS]; /* of pixels with ink, in a row of cells */
        } map;
        struct {
            lenet_cells near;
            uint32_t box[(LENET_ROWS * 5 / 7) * (LENET_COLUMNS * 5 / 7)];
        } image;
    } shared;
} lenet_view;

/* At most 4 000 bytes for an image of 28x28; it holds nothing between two pictures. */
struct lenet_preparation {
    lenet_view view;
    uint8_t strip[3 * LENET_VIEW_SIDE];
    union {
        int16_t difference[LENET_VIEW_SIDE];
        uint8_t ink[2][LENET_VIEW_SIDE + 2];
    } line;
};

/* lenet_preparation and 808 bytes, for an image of 28x28, unless the network needs more than that. */
struct lenet_picture {
    lenet_prepared prepared;
    uint8_t image[LENET_ROWS * LENET_COLUMNS]; /* what the network saw */
    union {
        lenet_preparation preparation;
        lenet_workspace network;
    } shared;
};

/* At most 6 560 bytes for an image of 28x28, unless LENET_WORKSPACE_BYTES exceeds 3 312. */
struct lenet_scan {
    lenet_prepared prepared;
    lenet_arrival arrival;
    lenet_view view;
    union {
        int16_t difference[LENET_SCAN_SIDE];
        uint8_t ink[2][LENET_SCAN_SIDE + 2];
    } line;
    union {
        uint8_t pixels[LENET_SCAN_PIXELS]; /* of the view */
        struct {
            uint8_t image[LENET_ROWS * LENET_COLUMNS]; /* what the network saw */
            lenet_workspace network;
        } read;
    } shared;
};
