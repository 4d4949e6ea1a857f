/* ---- Amounts: one to twelve digits in a line ------------------------------------------------- */

#define LENET_AMOUNT_DIGITS 12

/* Rows and columns of a line's picture: at least the one, at most the other. */
#define LENET_LINE_LEAST 12
#define LENET_LINE_ROWS 512
#define LENET_LINE_COLUMNS 4096

/* What was read in a line. */
typedef struct {
    char text[LENET_AMOUNT_DIGITS + 1]; /* its digits, and a 0 */
    int digits;                         /* how many there are */
    int readings;                       /* of the network, that this took */
    int32_t score;                      /* in 16ths of a nat, at least 0; the larger, the surer */
    int accepted;          /* 1 if verdict is LENET_ACCEPTED, else 0: have a person look */
    lenet_verdict verdict; /* why it is accepted or not */
} lenet_amount;

/* Scratch memory of one line's reading, and memory of one whose columns come once: see below. */
typedef struct lenet_line lenet_line;
typedef struct lenet_columns lenet_columns;

/* Reads the digits of an amount in the picture of a line, dark or light: its ink is parted into digits,
 * touching ones too, and all of them are accepted or not as a whole. A comma, a point and what is no
 * digit at either end are left out.
 *
 * line    `rows` rows of `columns` bytes; a row begins `stride` bytes behind the one above
 *
 * If it is not accepted, amount.verdict is LENET_UNSURE; LENET_NO_CLASS if no digits can be made out, or
 * more than LENET_AMOUNT_DIGITS; LENET_NO_INK if nothing stands out from the paper; LENET_NO_PICTURE if
 * the line is null, its rows or columns are none of LENET_LINE_LEAST to LENET_LINE_ROWS or
 * LENET_LINE_COLUMNS, or the stride is less than a row. But for LENET_UNSURE the text is then empty. Nothing but
 * the rows' bytes is read. */
#ifdef __SDCC
void lenet_read_amount(lenet_line *ws, const uint8_t *line, int rows, int columns, int32_t stride,
                       lenet_amount *amount);
#else
lenet_amount lenet_read_amount(lenet_line *ws, const uint8_t *line, int rows, int columns,
                               int32_t stride);
#endif

/* The same of a line whose columns come once, from the left, as from a scanner as wide as the line is
 * high, and are not kept: begin, `columns` columns of `rows` bytes, finish. A line of more than 4 096
 * pixels is shrunk as it comes, and 16 levels are kept of a pixel: for digits that stand apart.
 *
 * The verdict is LENET_NO_PICTURE too if one side is more than 16 times the other, and LENET_MISCOUNTED if
 * not exactly `columns` columns came since lenet_amount_begin, a null pointer being no column. */
void lenet_amount_begin(lenet_columns *ws, int rows, int columns);
void lenet_amount_column(lenet_columns *ws, const uint8_t *column);
#ifdef __SDCC
void lenet_amount_finish(lenet_columns *ws, lenet_amount *amount);
#else
lenet_amount lenet_amount_finish(lenet_columns *ws);
#endif

/* What memory holds: of cells, which are a pixel or more each, and of what lies between paths of
 * least ink through them. */
enum {
    LENET_LINE_HIGH = 48,  /* rows of cells */
    LENET_LINE_WIDE = 448, /* columns of cells */
    LENET_LINE_WORDS = LENET_LINE_HIGH * LENET_LINE_WIDE / 32,
    LENET_KEPT_SIDE = 256,  /* of a line whose columns come once, at most */
    LENET_KEPT_WORDS = 195, /* for its cells, whatever its sides */
    LENET_REACH = 14,       /* columns that a path goes aside */
    LENET_BLOCKS = 32,      /* that no ink connects */
    LENET_CUTS = 13,        /* through a block */
    LENET_WAYS = 3          /* texts at each cut */
};

/* A path from top to bottom: in each row of cells, it is left of this column. */
typedef uint16_t lenet_path[LENET_LINE_HIGH];

/* The cheapest texts up to a path. */
typedef struct {
    int count;
    struct {
        uint32_t cost;
        uint16_t none;                             /* costs so much more than each digit */
        uint8_t digits;                            /* how many there are */
        uint8_t text[LENET_AMOUNT_DIGITS / 2 + 1]; /* two in a byte, the first one low */
    } way[LENET_WAYS];
} lenet_ways;

/* A line on its way to a text. */
typedef struct {
    const uint8_t *pixels; /* its rows, `stride` bytes apart; or null, */
    const uint8_t *kept;   /* and its columns: pixels of 4 bits, two in a byte, the first one low */
    int32_t stride;
    lenet_paper paper;
    int base, threshold;                  /* of paper and ink: how far a pixel is above its paper */
    int contrast;                         /* between both */
    int top, left, side;                  /* the first pixel, and pixels a side of a cell */
    int high, wide;                       /* how many cells there are */
    int8_t shift[LENET_LINE_HIGH];        /* of each row of cells, to the right */
    uint32_t *ink;                        /* cell x is bit x % 32 of word x / 32 of its row, */
    int words;                            /* which has so many */
    uint32_t ruled[LENET_LINE_ROWS / 32]; /* likewise, whether row y is of a ruled line */
    int paths, height, mass;              /* free paths; the middle block's height and ink */
    uint16_t path[LENET_BLOCKS + 1];      /* where each is */
    int cuts;                             /* through the block at hand */
    uint8_t crossed[1 + LENET_CUTS + 1];  /* cells of ink that each of its edges crosses */
    lenet_path edge[1 + LENET_CUTS + 1];  /* its left edge, the cuts, its right one */
    lenet_path next[2];                   /* edges of the block behind it */
    lenet_ways ways[1 + LENET_CUTS + 2];  /* to each edge, and to the end of the next block */
    union {
        struct {
            uint32_t line[LENET_KEPT_SIDE], sum[LENET_KEPT_SIDE];
        } scan;
        struct {
            lenet_light light;
            uint8_t row[LENET_KEPT_SIDE]; /* that is kept, unpacked */
        } lit;
        uint8_t column[LENET_LINE_WIDE]; /* cells of ink in it */
        struct {
            uint16_t best[2][2 * LENET_REACH + 1];
            int8_t step[LENET_LINE_HIGH][2 * LENET_REACH + 1];
        } search;
        struct {
            union {
                uint8_t
                    ink[2][104]; /* two rows of at most 84 + 15 + 2, until their box is summed up */
                uint8_t image[LENET_ROWS * LENET_COLUMNS];
            } cells;
            union {
                uint32_t box[20 * 20];
                lenet_workspace network;
            } use;
        } image;
    } shared;
} lenet_parts;

/* It holds nothing between two lines. At most 7 904 bytes, but more where LENET_WORKSPACE_BYTES
 * exceeds 1 600. */
struct lenet_line {
    lenet_parts parts;
    uint32_t ink[LENET_LINE_WORDS];
};

/* At most 8 080 bytes, likewise. */
struct lenet_columns {
    lenet_arrival arrival;
    lenet_parts parts;
    uint32_t ink[LENET_KEPT_WORDS];
    uint8_t kept[LENET_SCAN_PIXELS / 2];
};
