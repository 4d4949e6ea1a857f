/* ---- What the memory of pictures holds ------------------------------------------------------- */

/* The view is the picture, or means of 2x2 or 3x3 pixels of a large one. */
enum {
    LENET_VIEW_SIDE = 342, /* a third of a picture's, at most */
    LENET_TILES = 8,       /* a side */
    LENET_CELLS = 64,      /* a side, of one or more pixels each */
    LENET_SCAN_SIDE = 64,  /* of what is kept of a scan, at most */
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
            lenet_cells ink, faint, left, component;
            uint8_t count[LENET_CELLS]; /* of pixels with ink, in a row of cells */
        } map;
        struct {
            lenet_cells near;
            uint32_t box[(LENET_ROWS * 5 / 7) * (LENET_COLUMNS * 5 / 7)];
        } image;
    } shared;
} lenet_view;

/* At most 3 992 bytes for an image of 28x28; it holds nothing between two pictures. */
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
