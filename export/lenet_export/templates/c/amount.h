/* ---- Amounts: one to twelve digits in a line ------------------------------------------------- */

#define LENET_AMOUNT_DIGITS 12

/* Rows and columns of a line's picture: at least the one, at most the other. */
#define LENET_LINE_LEAST 12
#define LENET_LINE_ROWS 512
#define LENET_LINE_COLUMNS 4096

/* A path from top to bottom: in each row of cells, it is left of this column. */
typedef uint16_t lenet_path[48];

/* The cheapest texts up to a path. */
typedef struct {
    int count;
    struct {
        uint32_t cost;
        uint8_t digits;                            /* how many there are */
        uint8_t text[LENET_AMOUNT_DIGITS / 2 + 1]; /* two in a byte, the first one low */
    } way[4];
} lenet_ways;

/* Scratch memory of one line's reading; it holds nothing between two lines. At most 8 128
 * bytes, but more where LENET_WORKSPACE_BYTES exceeds 1 792. */
typedef struct {
    const uint8_t *pixels;
    int32_t stride;
    int rows, columns;
    int tiles;                   /* a side */
    int base, threshold;         /* of paper and ink: how far a pixel is above its paper */
    int contrast;                /* between both */
    int top, left, side;         /* the first pixel, and pixels a side of a cell */
    int high, wide;              /* how many cells there are */
    uint8_t dark;                /* 255 where ink is darker than paper, else 0 */
    uint8_t paper[8 * 8];        /* the level of the paper in each tile */
    uint8_t mean[8 * 8];         /* of each tile */
    int8_t shift[48];            /* of each row of cells, to the right */
    uint32_t ink[48][448 / 32];  /* of row y and column x: bit x % 32 of word x / 32 */
    uint32_t ruled[512 / 32];    /* bit y % 32 of word y / 32: row y is of a ruled line */
    int paths, height, mass;     /* free paths; the middle block's height and ink */
    uint16_t path[33];           /* where each is */
    int cuts;                    /* through the block at hand */
    uint8_t crossed[1 + 13 + 1]; /* cells of ink that each of its edges crosses */
    lenet_path edge[1 + 13 + 1]; /* its left edge, the cuts, its right one */
    lenet_path next[2];          /* edges of the block behind it */
    lenet_ways ways[1 + 13 + 2]; /* to each edge, and to the end of the next block */
    union {
        uint32_t histogram[511]; /* of differences, from -255 */
        uint8_t column[448];     /* cells of ink in it */
        struct {
            uint16_t best[2][29];
            int8_t step[48][29];
        } search;
        struct {
            uint8_t image[28 * 28];
            union {
                struct {
                    uint8_t ink[2][48 * 2]; /* of two rows */
                    uint32_t box[20 * 20];
                } framing;
                lenet_workspace network;
            } use;
        } image;
    } shared;
} lenet_line;

/* What was read in a line. */
typedef struct {
    char text[LENET_AMOUNT_DIGITS + 1]; /* its digits, and a 0 */
    int digits;                         /* how many there are */
    int readings;                       /* of the network, that this took */
    int32_t score;                      /* the larger, the surer */
    int accepted;          /* 1 if verdict is LENET_ACCEPTED, else 0: have a person look */
    lenet_verdict verdict; /* why it is accepted or not */
} lenet_amount;

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
