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
 * LENET_LINE_COLUMNS, or the stride is less than a row
{%- if plan.is_hardened %}; LENET_DAMAGED, whatever was read, if a table of the network is not as its copy. But for
 * LENET_UNSURE and LENET_DAMAGED the text is then empty.
{%- else %}. But for LENET_UNSURE the text is then empty.
{%- endif %} Nothing but
 * the rows' bytes is read. */
{% if cpu.is_generic %}
#ifdef __SDCC
void lenet_read_amount(lenet_line *ws, const uint8_t *line, int rows, int columns, int32_t stride,
                       lenet_amount *amount);
#else
{% endif %}
lenet_amount lenet_read_amount(lenet_line *ws, const uint8_t *line, int rows, int columns,
                               int32_t stride);
{% if cpu.is_generic %}
#endif
{% endif %}

/* The same of a line whose columns come once, from the left, as from a scanner as wide as the line is
 * high, and are not kept: begin, `columns` columns of `rows` bytes, finish. A line of more than 4 096
 * pixels is shrunk as it comes, and 16 levels are kept of a pixel: for digits that stand apart.
 *
 * The verdict is LENET_NO_PICTURE too if one side is more than LENET_SCAN_RATIO times the other, and
 * LENET_MISCOUNTED if not exactly `columns` columns came since lenet_amount_begin, or one was a null
 * pointer. */
void lenet_amount_begin(lenet_columns *ws, int rows, int columns);
void lenet_amount_column(lenet_columns *ws, const uint8_t *column);
{% if cpu.is_generic %}
#ifdef __SDCC
void lenet_amount_finish(lenet_columns *ws, lenet_amount *amount);
#else
{% endif %}
lenet_amount lenet_amount_finish(lenet_columns *ws);
{% if cpu.is_generic %}
#endif
{% endif %}
