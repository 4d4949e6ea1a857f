/* ---- What the memory of amounts holds -------------------------------------------------------- */

/* Of cells, which are a pixel or more each, and of what lies between paths of
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
        uint16_t sure;                             /* its least sure digit is so sure */
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
    int paths, height, mass;              /* free paths; a block's median height and ink */
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
