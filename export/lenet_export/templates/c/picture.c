/* ---- Paper ----------------------------------------------------------------------------------- */

static int lesser(int a, int b)
{
    return a < b ? a : b;
}

static int greater(int a, int b)
{
    return a > b ? a : b;
}

/* The nearest of 0 to end - 1. */
static int inside(int k, int end)
{
    return k < 0 ? 0 : lesser(k, end - 1);
}

/* volatile keeps these loops: a compiler may otherwise make them calls of memset and memcpy. */
static void clear_words(volatile uint32_t *words, int count)
{
    for (int k = 0; k < count; k++) {
        words[k] = 0;
    }
}

static void fill_bytes(volatile uint8_t *bytes, int count, uint8_t value)
{
    for (int k = 0; k < count; k++) {
        bytes[k] = value;
    }
}

static void copy_bytes(void *to, const void *from, int count)
{
    for (int k = 0; k < count; k++) {
        ((volatile uint8_t *)to)[k] = ((const uint8_t *)from)[k];
    }
}

/* Paper of so many pixels, of which nothing is known: ink is light, and a tile's mean is any. */
static void begin_paper(lenet_paper *paper, lenet_light *light, int rows, int columns)
{
    int tiles = greater(lesser(lesser(rows, columns) / 4, LENET_TILES), 2);
    paper->rows = rows;
    paper->columns = columns;
    paper->tiles = tiles;
    paper->down = (int32_t)tiles * 65536 / rows;
    paper->across = (int32_t)tiles * 65536 / columns;
    paper->dark = 0;
    fill_bytes(light->mean, LENET_TILES * LENET_TILES, 255);
}

/* Begins to measure the mean of each tile, of its pixels up to the mean that it has. */
static void begin_tiles(lenet_light *light)
{
    clear_words(light->shared.tile.sum, LENET_TILES * LENET_TILES);
    clear_words(light->shared.tile.count, LENET_TILES * LENET_TILES);
}

/* Counts row y; tile k of n begins at pixel k * size / n of each axis. */
static void add_to_tiles(const lenet_paper *paper, lenet_light *light, int y, const uint8_t *row)
{
    int n = paper->tiles, tile = (int)(((int32_t)(y + 1) * n - 1) / paper->rows) * n;
    for (int j = 0, x = 0; j < n; j++, tile++) {
        int end = (int)((int32_t)(j + 1) * paper->columns / n);
        uint32_t sum = 0, count = 0;
        for (; x < end; x++) {
            uint32_t pixel = row[x] ^ paper->dark;
            if (pixel <= light->mean[tile]) {
                sum += pixel;
                count++;
            }
        }
        light->shared.tile.sum[tile] += sum;
        light->shared.tile.count[tile] += count;
    }
}

static void finish_tiles(const lenet_paper *paper, lenet_light *light)
{
    for (int k = 0; k < paper->tiles * paper->tiles; k++) {
        uint32_t count = light->shared.tile.count[k];
        light->mean[k] = (uint8_t)(light->shared.tile.sum[k] / (count != 0u ? count : 1u));
    }
}

/* The paper is each tile's mean of 3x3 tiles, or their least. */
static void smooth_tiles(lenet_paper *paper, const lenet_light *light, int is_least)
{
    int n = paper->tiles;
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) {
            int sum = 0, count = 0, least = 255;
            for (int a = greater(i - 1, 0); a <= lesser(i + 1, n - 1); a++) {
                for (int b = greater(j - 1, 0); b <= lesser(j + 1, n - 1); b++) {
                    sum += light->mean[a * n + b];
                    count++;
                    least = lesser(least, light->mean[a * n + b]);
                }
            }
            paper->level[i * n + j] = (uint8_t)(is_least ? least : sum / count);
        }
    }
}

/* Where pixel k lies between the centres of the first and the last tile, in 1/65536 of a tile: the
 * nearest place. */
static int32_t among_tiles(int k, int32_t step, int tiles)
{
    int32_t place = k * step + step / 2 - 32768, last = (int32_t)(tiles - 1) * 65536 - 1;
    return place < 0 ? 0 : place > last ? last : place;
}

/* The paper along row y: 256 times its level at each column of tiles. */
static void paper_along(const lenet_paper *paper, int y, int32_t along[LENET_TILES])
{
    int n = paper->tiles;
    int32_t place = among_tiles(y, paper->down, n), part = place >> 8 & 255;
    const uint8_t *above = paper->level + (place >> 16) * n;
    for (int j = 0; j < n; j++) {
        along[j] = (int32_t)above[j] * 256 + (above[n + j] - above[j]) * part;
    }
}

/* How far a level at column x of that row, its ink light, is above the paper. */
static int above_paper(const lenet_paper *paper, const int32_t along[LENET_TILES], int x, int level)
{
    int32_t place = among_tiles(x, paper->across, paper->tiles);
    const int32_t *left = along + (place >> 16);
    return level - (int)((left[0] * 256 + (left[1] - left[0]) * (place >> 8 & 255)) >> 16);
}

/* The difference from the paper that `count` pixels reach from below. */
static int count_up(const lenet_light *light, uint32_t count)
{
    uint32_t seen = light->shared.histogram[0];
    int k = 0;
    while (seen < count) {
        seen += light->shared.histogram[++k];
    }
    return k - 255;
}

/* The difference that `count` pixels reach from above. */
static int count_down(const lenet_light *light, uint32_t count)
{
    uint32_t seen = light->shared.histogram[510];
    int k = 510;
    while (seen < count) {
        seen += light->shared.histogram[--k];
    }
    return k - 255;
}

/* Finds whether ink is dark, by the differences from tiles' means: it reaches further than paper does,
 * and the border, of `around` pixels that sum up to `border`, is paper. */
static void find_polarity(lenet_paper *paper, lenet_light *light, uint32_t few, int32_t around,
                          int32_t border)
{
    if ((count_down(light, few) + count_up(light, few)) * around < border) {
        paper->dark = 255;
        for (int k = 0; k < LENET_TILES * LENET_TILES; k++) {
            light->mean[k] = (uint8_t)(255u - light->mean[k]);
        }
    }
}

/* ---- A picture's rows ------------------------------------------------------------------------ */

/* How a picture becomes an image: seven passes over its rows, three in the strip at a time. They
 * find the light, whether ink is dark, the paper, how far ink stands out, the cells that have ink,
 * the box around the digit's, and the image.
 *
 * Bounds, for any picture: a difference is -255 to 255, a tile's sum at most 171 * 171 * 255, an
 * interpolation 255 * 256 * 256, a sum of the image 362 * 362 * 255: sides of the view, or of what
 * is enlarged for an image of 128 rows. A scan's sum is at most 512 * 4096 * 255, of a line's columns. So
 * 32 bits hold all. */
enum {
    SMALL_SIDE = 48,               /* of a view whose strokes may be a pixel wide */
    BOX_ROWS = LENET_ROWS * 5 / 7, /* MNIST's 20 of 28 */
    BOX_COLUMNS = LENET_COLUMNS * 5 / 7,
    LEAST_CONTRAST = 8
};

/* Row y of the picture, or a null pointer once one was none. */
static const uint8_t *next_of(lenet_view *ws, int y)
{
    const uint8_t *row = ws->is_broken ? 0 : ws->row(ws->source, y);
    ws->is_broken = !row;
    return row;
}

/* Row y of the view goes to the strip: means of shrink * shrink pixels. */
static void look_at(lenet_view *ws, int y)
{
    int shrink = ws->shrink, columns = ws->paper.columns;
    uint8_t *to = ws->strip + y % ws->kept * columns;
    uint32_t share = (uint32_t)(65535 + shrink * shrink) / (uint32_t)(shrink * shrink);
    for (int i = 0; i < shrink; i++) {
        const uint8_t *from = next_of(ws, y * shrink + i);
        if (!from) {
            return;
        }
        if (shrink == 1) {
            copy_bytes(to, from, columns);
            return;
        }
        for (int x = 0; x < columns; x++) {
            uint32_t sum = 0;
            for (int j = 0; j < shrink; j++) {
                sum += *from++;
            }
            to[x] = (uint8_t)((sum * share >> 16) + (i ? to[x] : 0u));
        }
    }
}

/* Begins a pass, or a part of one, at row y. */
static void begin_at(lenet_view *ws, int y)
{
    if (ws->kept < ws->paper.rows) {
        ws->held = greater(y - 2, -1);
    }
}

/* Rows y - 1 to y + 1 are in the strip: for the row that a pass began at, then for each next one. */
static void hold(lenet_view *ws, int y)
{
    while (ws->held < lesser(y + 1, ws->paper.rows - 1)) {
        look_at(ws, ++ws->held);
    }
}

/* Row y of the strip; beyond the view its border goes on. */
static const uint8_t *held_at(const lenet_view *ws, int y)
{
    return ws->strip + inside(y, ws->paper.rows) % ws->kept * ws->paper.columns;
}

/* The mean of each tile, of its pixels up to the mean that it has. */
static void measure_tiles(lenet_view *ws)
{
    begin_tiles(&ws->shared.light);
    begin_at(ws, 0);
    for (int y = 0; y < ws->paper.rows; y++) {
        hold(ws, y);
        add_to_tiles(&ws->paper, &ws->shared.light, y, held_at(ws, y));
    }
    finish_tiles(&ws->paper, &ws->shared.light);
}

/* ---- Its ink --------------------------------------------------------------------------------- */

static int median(int a, int b, int c)
{
    return greater(lesser(a, b), lesser(greater(a, b), c));
}

/* Three values above each other, in order. */
typedef struct {
    int low, middle, high;
} three_values;

static void sort_at(const uint8_t *a, const uint8_t *b, const uint8_t *c, int x,
                    three_values *sorted)
{
    int low = lesser(a[x], b[x]), high = greater(a[x], b[x]), rest = lesser(high, c[x]);
    sorted->low = lesser(low, c[x]);
    sorted->middle = greater(low, rest);
    sorted->high = greater(high, c[x]);
}

/* The median of three such columns. */
static int median_of(const three_values *a, const three_values *b, const three_values *c)
{
    return median(greater(greater(a->low, b->low), c->low), median(a->middle, b->middle, c->middle),
                  lesser(lesser(a->high, b->high), c->high));
}

static int is_small(const lenet_view *ws)
{
    return ws->paper.rows < SMALL_SIDE && ws->paper.columns < SMALL_SIDE;
}

/* How far each pixel of row y is above the paper, without specks: the median of 3x3 pixels. In a
 * small view the pixel itself, since a median would take away strokes as thin as a pixel. */
static void find_differences(lenet_view *ws, int y)
{
    int columns = ws->paper.columns, has_median = !is_small(ws);
    int32_t paper[LENET_TILES];
    hold(ws, y);
    paper_along(&ws->paper, y, paper);
    const uint8_t *above = held_at(ws, y - 1), *row = held_at(ws, y), *below = held_at(ws, y + 1);
    three_values left, here, right;
    sort_at(above, row, below, 0, &right);
    here = left = right;
    for (int x = 0; x < columns; x++) {
        int level = row[x];
        if (has_median) {
            if (x + 1 < columns) {
                sort_at(above, row, below, x + 1, &right);
            }
            level = median_of(&left, &here, &right);
            left = here;
            here = right;
        }
        level ^= ws->paper.dark;
        ws->difference[x] = (int16_t)above_paper(&ws->paper, paper, x, level);
    }
}

/* In a view that is not small every second row tells enough. */
static int rows_apart(const lenet_view *ws)
{
    return is_small(ws) ? 1 : 2;
}

/* Counts the differences of such rows; returns the sum of those at the border above and aside. */
static int32_t count_differences(lenet_view *ws)
{
    int last = ws->paper.columns - 1;
    int32_t border = 0;
    clear_words(ws->shared.light.shared.histogram, 511);
    begin_at(ws, 0);
    for (int y = 0; y < ws->paper.rows; y += rows_apart(ws)) {
        find_differences(ws, y);
        for (int x = 0; x <= last; x++) {
            ws->shared.light.shared.histogram[255 + ws->difference[x]]++;
        }
        border += (int32_t)ws->difference[0] + ws->difference[last];
        for (int x = 1; y == 0 && x < last; x++) {
            border += ws->difference[x];
        }
    }
    return border;
}

/* ---- Its cells ------------------------------------------------------------------------------- */

static int has_cell(const lenet_cells *cells, int x, int y)
{
    return (int)(cells->row[y][x / 32] >> (x % 32) & 1);
}

static void add_cell(lenet_cells *cells, int x, int y)
{
    cells->row[y][x / 32] |= (uint32_t)1 << (x % 32);
}

/* The cells of row y and those around all of `cells` in it, above it and below it. */
static void spread(const lenet_cells *cells, int y, uint32_t row[2])
{
    uint32_t left = 0, right = 0;
    for (int a = greater(y - 1, 0); a <= lesser(y + 1, LENET_CELLS - 1); a++) {
        left |= cells->row[a][0];
        right |= cells->row[a][1];
    }
    row[0] = left | left << 1 | left >> 1 | right << 31;
    row[1] = right | right << 1 | right >> 1 | left >> 31;
}

/* Grows the component within row y, from there and the rows beside it; returns whether it grew. */
static int grow_within(lenet_view *ws, int y)
{
    uint32_t *own = ws->shared.map.component.row[y], *left = ws->shared.map.left.row[y], row[2];
    for (int grew = 0;; grew = 1) {
        spread(&ws->shared.map.component, y, row);
        row[0] = (row[0] & left[0]) | own[0];
        row[1] = (row[1] & left[1]) | own[1];
        if (row[0] == own[0] && row[1] == own[1]) {
            return grew;
        }
        own[0] = row[0];
        own[1] = row[1];
    }
}

/* The component of ink around a cell, which is the first of its rows from above: sweeps down and up
 * until none grows. Each but the last adds a cell, so they end. */
static void grow_from(lenet_view *ws, int x, int y)
{
    int bottom = y, grew = 1;
    clear_words(ws->shared.map.component.row[0], 2 * LENET_CELLS);
    add_cell(&ws->shared.map.component, x, y);
    while (grew) {
        grew = 0;
        for (int a = y; a <= lesser(bottom + 1, LENET_CELLS - 1); a++) {
            if (grow_within(ws, a)) {
                grew = 1;
                bottom = greater(bottom, a);
            }
        }
        for (int a = bottom; a >= y; a--) {
            grew |= grow_within(ws, a);
        }
    }
}

/* The box around some cells or pixels; bottom and right are outside. */
typedef struct {
    int top, left, bottom, right;
} ink_box;

static void make_empty(ink_box *box)
{
    box->top = box->left = INT16_MAX;
    box->bottom = box->right = 0;
}

static void include(ink_box *box, int y, int x)
{
    box->top = lesser(box->top, y);
    box->left = lesser(box->left, x);
    box->bottom = greater(box->bottom, y + 1);
    box->right = greater(box->right, x + 1);
}

/* Counts cells and finds the box around them. */
static int count_cells(const lenet_cells *cells, ink_box *box)
{
    uint32_t columns[2];
    int count = 0;
    columns[0] = columns[1] = 0;
    make_empty(box);
    for (int y = 0; y < LENET_CELLS; y++) {
        for (int k = 0; k < 2; k++) {
            columns[k] |= cells->row[y][k];
            for (uint32_t left = cells->row[y][k]; left != 0u; left &= left - 1u) {
                count++;
                box->top = lesser(box->top, y);
                box->bottom = y + 1;
            }
        }
    }
    for (int x = 0; x < LENET_CELLS; x++) {
        if (columns[x / 32] >> (x % 32) & 1) {
            box->left = lesser(box->left, x);
            box->right = x + 1;
        }
    }
    return count;
}

/* Whether a component belongs to the digit: large enough, and not far from the main one. */
static int belongs(int count, const ink_box *box, int main_count, const ink_box *main_box)
{
    int side = greater(main_box->right - main_box->left, main_box->bottom - main_box->top);
    int reach = side / 3 + 1;
    return (int32_t)16 * count >= main_count && box->left < main_box->right + reach &&
           box->right > main_box->left - reach && box->top < main_box->bottom + reach &&
           box->bottom > main_box->top - reach;
}

/* Takes away the components of ink that are not the digit's: the largest one is. */
static void keep_digit(lenet_view *ws)
{
    ink_box box, main_box;
    int main_count = 0;
    make_empty(&main_box);
    for (int pass = 0; pass < 2; pass++) {
        copy_bytes(&ws->shared.map.left, &ws->shared.map.ink, sizeof(lenet_cells));
        for (int y = 0; y < LENET_CELLS; y++) {
            for (int x = 0; ws->shared.map.left.row[y][0] | ws->shared.map.left.row[y][1]; x++) {
                if (!has_cell(&ws->shared.map.left, x, y)) {
                    continue;
                }
                grow_from(ws, x, y);
                int count = count_cells(&ws->shared.map.component, &box);
                if (pass == 0 && count > main_count) {
                    main_count = count;
                    main_box = box;
                }
                int is_kept = pass == 0 || belongs(count, &box, main_count, &main_box);
                for (int a = box.top; a < box.bottom; a++) {
                    for (int k = 0; k < 2; k++) {
                        uint32_t others = ~ws->shared.map.component.row[a][k];
                        ws->shared.map.left.row[a][k] &= others;
                        ws->shared.map.ink.row[a][k] &= is_kept ? ~(uint32_t)0 : others;
                    }
                }
            }
        }
    }
}

/* Finds the cells that have ink: a quarter of their pixels above the threshold; or a sixth, beside
 * those of the digit. */
static void find_cells(lenet_view *ws, int threshold)
{
    int cell = ws->cell;
    uint8_t *count = ws->shared.map.count;
    fill_bytes(count, LENET_CELLS, 0);
    clear_words(ws->shared.map.ink.row[0], 2 * LENET_CELLS);
    clear_words(ws->shared.map.faint.row[0], 2 * LENET_CELLS);
    begin_at(ws, 0);
    for (int y = 0; y < ws->paper.rows; y++) {
        find_differences(ws, y);
        for (int x = 0, k = 0; x < ws->paper.columns; k++) {
            for (int end = lesser(x + cell, ws->paper.columns); x < end; x++) {
                count[k] = (uint8_t)(count[k] + (ws->difference[x] > threshold));
            }
        }
        if ((y + 1) % cell == 0 || y == ws->paper.rows - 1) {
            for (int k = 0; k < LENET_CELLS; k++) {
                if (count[k] && 6 * count[k] >= cell * cell) {
                    add_cell(&ws->shared.map.faint, k, y / cell);
                }
                if (count[k] && 4 * count[k] >= cell * cell) {
                    add_cell(&ws->shared.map.ink, k, y / cell);
                }
                count[k] = 0;
            }
        }
    }
    keep_digit(ws);
    for (int y = 0; y < LENET_CELLS; y++) {
        spread(&ws->shared.map.ink, y, ws->shared.map.component.row[y]);
    }
    for (int y = 0; y < LENET_CELLS; y++) {
        for (int k = 0; k < 2; k++) {
            ws->shared.map.ink.row[y][k] |=
                ws->shared.map.component.row[y][k] & ws->shared.map.faint.row[y][k];
        }
    }
}

/* ---- Its image ------------------------------------------------------------------------------- */

/* Finds the box around the digit's ink, and its mean difference from `base`: of the pixels of its
 * cells above the threshold; a pixel above `faint` widens the box. Returns 0 if there is none. */
static int find_box(lenet_view *ws, int base, int threshold, int faint, ink_box *box)
{
    int cell = ws->cell;
    uint32_t sum = 0, count = 0;
    ink_box cells;
    make_empty(box);
    if (!count_cells(&ws->shared.map.ink, &cells)) {
        return 0;
    }
    begin_at(ws, cells.top * cell);
    for (int y = cells.top * cell; y < lesser(cells.bottom * cell, ws->paper.rows); y++) {
        find_differences(ws, y);
        for (int k = cells.left; k < cells.right; k++) {
            int end = lesser((k + 1) * cell, ws->paper.columns);
            for (int x = k * cell; has_cell(&ws->shared.map.ink, k, y / cell) && x < end; x++) {
                int difference = ws->difference[x];
                if (difference > faint) {
                    include(box, y, x);
                }
                if (difference > threshold) {
                    sum += (uint32_t)(difference - base);
                    count++;
                }
            }
        }
    }
    return count ? (int)(sum / count) : 0;
}

/* Row y of the view from column box->left - 1 to box->right: how far it is above `base` above
 * the paper, 0 far from the digit's cells. Beyond the view its border goes on. */
static void find_ink(lenet_view *ws, const ink_box *box, int base, int y, uint8_t *ink)
{
    int32_t paper[LENET_TILES];
    y = inside(y, ws->paper.rows);
    hold(ws, y);
    paper_along(&ws->paper, y, paper);
    const uint8_t *row = held_at(ws, y);
    int cell_y = y / ws->cell, cell_x = -1, end = 0, is_near = 0;
    for (int k = box->left - 1; k <= box->right; k++) {
        int x = inside(k, ws->paper.columns);
        while (x >= end) {
            cell_x++;
            end += ws->cell;
            is_near = has_cell(&ws->shared.image.near, cell_x, cell_y);
        }
        int level = row[x] ^ ws->paper.dark;
        level = is_near ? above_paper(&ws->paper, paper, x, level) - base : 0;
        *ink++ = (uint8_t)lesser(greater(level, 0), 255);
    }
}

/* Walks along an axis on which `from` equal parts become `to`: each part counts `to`, and a place of
 * the image takes `from`. */
typedef struct {
    int place, room, from, to;
} axis_walk;

static void begin_walk(axis_walk *walk, int from, int to)
{
    walk->place = 0;
    walk->room = walk->from = from;
    walk->to = to;
}

/* What of the next part is for this place; the rest is for the next one. */
static uint32_t here_of(const axis_walk *walk)
{
    return (uint32_t)lesser(walk->to, walk->room);
}

static void walk_on(axis_walk *walk)
{
    walk->room -= walk->to;
    if (walk->room <= 0) {
        walk->room += walk->from;
        walk->place++;
    }
}

/* Adds the next part to its places, by how much of it is there. */
static void add_next(uint32_t *places, axis_walk *walk, uint32_t value)
{
    uint32_t here = here_of(walk), rest = (uint32_t)walk->to - here;
    places[walk->place] += value * here;
    if (rest != 0u) {
        places[walk->place + 1] += value * rest;
    }
    walk_on(walk);
}

/* Adds a row of places to the rows that it lies in, likewise. */
static void add_row(uint32_t *places, axis_walk *walk, const uint32_t *row, int columns)
{
    uint32_t here = here_of(walk), rest = (uint32_t)walk->to - here;
    uint32_t *sums = places + walk->place * columns;
    for (int k = 0; k < columns; k++) {
        sums[k] += row[k] * here;
        if (rest != 0u) {
            sums[columns + k] += row[k] * rest;
        }
    }
    walk_on(walk);
}

/* Sums up the box in rows x columns places: its pixels, each enlarged to parts x parts by
 * interpolation, as ink of 0 to 255, which a fifth of `contrast` and all of it are; steeper where
 * interpolation has made strokes wide. */
static void sum_up(lenet_view *ws, const ink_box *box, int base, int contrast, int parts, int rows,
                   int columns)
{
    int32_t side = 256 / parts, first = side / 2 + 128; /* of a part, in 1/256 pixel */
    int least = parts > 2 ? contrast * 7 / 20 : contrast / 5;
    int most = parts > 2 ? contrast * 4 / 5 : contrast;
    uint32_t gain = (uint32_t)((int32_t)255 * 256 / (most - least));
    uint32_t line[BOX_COLUMNS];
    axis_walk down, along;
    int last = 1; /* in ink[last % 2] is row box->top - 1 + last */
    begin_walk(&down, (box->bottom - box->top) * parts, rows);
    clear_words(ws->shared.image.box, rows * columns);
    begin_at(ws, greater(box->top - 1, 0));
    find_ink(ws, box, base, box->top - 1, ws->ink[0]);
    find_ink(ws, box, base, box->top, ws->ink[1]);
    for (int i = 0; i < down.from; i++) {
        int32_t y = first + i * side;
        uint32_t below = (uint32_t)y >> 4 & 15u;
        while (last <= (int)(y >> 8)) {
            last++;
            find_ink(ws, box, base, box->top - 1 + last, ws->ink[last % 2]);
        }
        const uint8_t *upper = ws->ink[(last + 1) % 2], *lower = ws->ink[last % 2];
        begin_walk(&along, (box->right - box->left) * parts, columns);
        clear_words(line, columns);
        for (int j = 0; j < along.from; j++) {
            int32_t x = first + j * side;
            uint32_t right = (uint32_t)x >> 4 & 15u;
            const uint8_t *a = upper + (x >> 8), *b = lower + (x >> 8);
            uint32_t above = a[0] * (16u - right) + a[1] * right;
            uint32_t under = b[0] * (16u - right) + b[1] * right;
            int level = (int)((above * (16u - below) + under * below + 128u) >> 8) - least;
            uint32_t ink = level > 0 ? (uint32_t)level * gain >> 8 : 0u;
            ink = ink < 255u ? ink : 255u;
            add_next(line, &along, ink);
        }
        add_row(ws->shared.image.box, &down, line, columns);
    }
}

/* The value that a twentieth of the `count` values reach, at least half of the largest, and 1. */
static uint32_t strongest(const uint32_t *values, int count)
{
    uint32_t largest = 1;
    for (int k = 0; k < count; k++) {
        largest = values[k] > largest ? values[k] : largest;
    }
    uint32_t top = largest;
    for (int seen = 0; top > 1u && top > largest / 2u; top--) {
        for (int k = 0; k < count; k++) {
            seen += values[k] == top;
        }
        if (seen >= greater(count / 20, 1)) {
            break;
        }
    }
    return top;
}

/* Where a box of `size` begins, so that its centre of mass is in the middle of `side`. */
static int begin_of(uint32_t moment, uint32_t mass, int size, int side)
{
    int32_t twice = (int32_t)((uint32_t)side * mass) - (int32_t)(2u * moment);
    int begin = twice > 0 ? (int)(twice / (int32_t)(2u * mass)) : 0;
    return lesser(begin, side - size);
}

/* Makes an image of a box of rows x columns places: what each sums up to, of `area`, with the
 * strongest as 255, and the centre of mass in the middle. Returns 0 if there is nothing to put. */
static int place_box(uint32_t *values, int rows, int columns, uint32_t area, uint8_t *image)
{
    for (int k = 0; k < rows * columns; k++) {
        values[k] = (values[k] + area / 2u) / area;
    }
    uint32_t top = strongest(values, rows * columns), mass = 0, down = 0, along = 0;
    for (int y = 0; y < rows; y++) {
        for (int x = 0; x < columns; x++) {
            uint32_t *value = values + y * columns + x;
            *value = *value < top ? *value * 255u / top : 255u;
            mass += *value;
            down += *value * (uint32_t)y;
            along += *value * (uint32_t)x;
        }
    }
    if (mass == 0u) {
        return 0;
    }
    fill_bytes(image, LENET_ROWS * LENET_COLUMNS, 0);
    image += begin_of(down, mass, rows, LENET_ROWS) * LENET_COLUMNS;
    image += begin_of(along, mass, columns, LENET_COLUMNS);
    for (int y = 0; y < rows; y++) {
        for (int x = 0; x < columns; x++) {
            image[y * LENET_COLUMNS + x] = (uint8_t)values[y * columns + x];
        }
    }
    return 1;
}

/* The image of the box: its longer side as long as the image's box. Returns 0 if it is empty. */
static int make_image(lenet_view *ws, const ink_box *box, int base, int contrast, uint8_t *image)
{
    int high = box->bottom - box->top, wide = box->right - box->left;
    int is_high = (int32_t)high * BOX_COLUMNS >= (int32_t)wide * BOX_ROWS;
    int side = is_high ? high : wide, goal = is_high ? BOX_ROWS : BOX_COLUMNS;
    int rows = is_high ? goal : greater((int)(((int32_t)high * goal + side / 2) / side), 1);
    int columns = is_high ? greater((int)(((int32_t)wide * goal + side / 2) / side), 1) : goal;
    int parts = side < (is_small(ws) ? goal : 2 * goal) ? (2 * goal + side - 1) / side : 1;
    for (int y = 0; y < LENET_CELLS; y++) {
        spread(&ws->shared.map.ink, y, ws->shared.map.component.row[y]);
    }
    copy_bytes(&ws->shared.image.near, &ws->shared.map.component, sizeof(lenet_cells));
    sum_up(ws, box, base, contrast, parts, rows, columns);
    return place_box(ws->shared.image.box, rows, columns,
                     (uint32_t)(high * parts) * (uint32_t)(wide * parts), image);
}

/* ---- Pictures -------------------------------------------------------------------------------- */

/* An empty image, and nothing found. */
static void find_nothing(uint8_t *image, lenet_prepared *prepared)
{
    fill_bytes(image, LENET_ROWS * LENET_COLUMNS, 0);
    prepared->is_dark = prepared->contrast = 0;
    prepared->left = prepared->top = prepared->right = prepared->bottom = 0;
}

/* Prepares the view. */
static lenet_verdict prepare_view(lenet_view *ws, uint8_t *image, lenet_prepared *prepared)
{
    lenet_light *light = &ws->shared.light;
    int counted_rows = (ws->paper.rows + rows_apart(ws) - 1) / rows_apart(ws);
    int32_t counted = (int32_t)counted_rows * ws->paper.columns;
    int32_t around = 2 * (int32_t)counted_rows + ws->paper.columns - 2;
    uint32_t few = (uint32_t)greater((int)(counted / 1024), 6 / rows_apart(ws));
    measure_tiles(ws);
    smooth_tiles(&ws->paper, light, 0);
    find_polarity(&ws->paper, light, few, around, count_differences(ws));

    /* Paper is what is not above a tile's mean, and darkest of the tiles around. */
    measure_tiles(ws);
    smooth_tiles(&ws->paper, light, 1);
    (void)count_differences(ws);
    int base = count_up(light, (uint32_t)(counted / 2)), contrast = count_down(light, few) - base;
    int noise = base - count_up(light, few);
    if (contrast < LEAST_CONTRAST || 8 * contrast < 9 * noise) {
        return LENET_NO_INK;
    }

    /* Above the threshold is ink: half of the contrast, in a small view three eighths, more than the
     * noise, and no more than three quarters. */
    int above = greater(contrast * (is_small(ws) ? 3 : 4) / 8, lesser(noise, contrast * 3 / 4));
    ink_box box;
    find_cells(ws, base + above);
    int mean = find_box(ws, base, base + above, base + contrast / 4, &box);
    if (mean == 0 || !make_image(ws, &box, base, mean, image)) {
        return LENET_NO_INK;
    }
    prepared->is_dark = ws->paper.dark != 0u;
    prepared->left = box.left * ws->shrink;
    prepared->top = box.top * ws->shrink;
    prepared->right = box.right * ws->shrink;
    prepared->bottom = box.bottom * ws->shrink;
    prepared->contrast = lesser(mean, 255);
    return LENET_ACCEPTED;
}

/* Prepares a view of rows x columns; what is not found is 0, and then the image is empty. */
static lenet_verdict prepare_view_of(lenet_view *ws, int rows, int columns, uint8_t *image,
                                     lenet_prepared *prepared)
{
    begin_paper(&ws->paper, &ws->shared.light, rows, columns);
    ws->cell = (greater(rows, columns) + LENET_CELLS - 1) / LENET_CELLS;
    ws->is_broken = 0;
    lenet_verdict verdict = prepare_view(ws, image, prepared);
    if (ws->is_broken) {
        verdict = LENET_NO_PICTURE;
    }
    if (verdict != LENET_ACCEPTED) {
        find_nothing(image, prepared);
    }
    return verdict;
}

lenet_verdict lenet_prepare_rows(lenet_preparation *ws, const uint8_t *(*row)(void *source, int y),
                                 void *source, int rows, int columns,
                                 uint8_t image[LENET_ROWS * LENET_COLUMNS],
                                 lenet_prepared *prepared)
{
    int shrink = (greater(rows, columns) + LENET_VIEW_SIDE - 1) / LENET_VIEW_SIDE;
    if (!row || lesser(rows, columns) < LENET_PICTURE_LEAST ||
        greater(rows, columns) > LENET_PICTURE_MOST) {
        find_nothing(image, prepared);
        return LENET_NO_PICTURE;
    }
    ws->view.row = row;
    ws->view.source = source;
    ws->view.shrink = shrink;
    ws->view.strip = ws->strip;
    ws->view.kept = 3;
    ws->view.difference = ws->line.difference;
    ws->view.ink[0] = ws->line.ink[0];
    ws->view.ink[1] = ws->line.ink[1];
    return prepare_view_of(&ws->view, rows / shrink, columns / shrink, image, prepared);
}

/* A picture in memory; null pixels are none. */
typedef struct {
    const uint8_t *pixels;
    int32_t stride;
} picture_in_memory;

static const uint8_t *picture_line(void *source, int y)
{
    const picture_in_memory *picture = (const picture_in_memory *)source;
    uintptr_t before = (uintptr_t)picture->stride * (uintptr_t)y;
    return picture->pixels != NULL ? picture->pixels + before : NULL;
}

static void begin_picture(picture_in_memory *picture, const uint8_t *pixels, int columns,
                          int32_t stride)
{
    picture->pixels = stride < columns ? 0 : pixels;
    picture->stride = stride;
}

lenet_verdict lenet_prepare(lenet_preparation *ws, const uint8_t *pixels, int rows, int columns,
                            int32_t stride, uint8_t image[LENET_ROWS * LENET_COLUMNS],
                            lenet_prepared *prepared)
{
    picture_in_memory picture;
    begin_picture(&picture, pixels, columns, stride);
    return lenet_prepare_rows(ws, picture_line, &picture, rows, columns, image, prepared);
}

/* Without an image there is nothing to read. */
static void read_nothing(lenet_verdict verdict, lenet_reading *reading)
{
    reading->digit = -1;
    reading->gap = 0;
    reading->accepted = 0;
    reading->verdict = verdict;
}

{% if cpu.is_generic %}
#ifdef __SDCC
void lenet_read_picture_rows(lenet_picture *ws, const uint8_t *(*row)(void *source, int y),
                             void *source, int rows, int columns, lenet_reading *reading)
{
    lenet_verdict verdict = lenet_prepare_rows(&ws->shared.preparation, row, source, rows, columns,
                                               ws->image, &ws->prepared);
    read_nothing(verdict, reading);
    if (verdict == LENET_ACCEPTED) {
        lenet_read(&ws->shared.network, ws->image, reading);
    }
}

void lenet_read_picture(lenet_picture *ws, const uint8_t *pixels, int rows, int columns,
                        int32_t stride, lenet_reading *reading)
{
    picture_in_memory picture;
    begin_picture(&picture, pixels, columns, stride);
    lenet_read_picture_rows(ws, picture_line, &picture, rows, columns, reading);
}
#else
{% endif %}
lenet_reading lenet_read_picture_rows(lenet_picture *ws, const uint8_t *(*row)(void *source, int y),
                                      void *source, int rows, int columns)
{
    lenet_reading reading;
    lenet_verdict verdict = lenet_prepare_rows(&ws->shared.preparation, row, source, rows, columns,
                                               ws->image, &ws->prepared);
    read_nothing(verdict, &reading);
    return verdict == LENET_ACCEPTED ? lenet_read(&ws->shared.network, ws->image) : reading;
}

lenet_reading lenet_read_picture(lenet_picture *ws, const uint8_t *pixels, int rows, int columns,
                                 int32_t stride)
{
    picture_in_memory picture;
    begin_picture(&picture, pixels, columns, stride);
    return lenet_read_picture_rows(ws, picture_line, &picture, rows, columns);
}
{% if cpu.is_generic %}
#endif
{% endif %}

/* ---- A scan ---------------------------------------------------------------------------------- */

static int can_be_scanned(int rows, int columns)
{
    int longer = greater(rows, columns), shorter = lesser(rows, columns);
    return shorter >= LENET_PICTURE_LEAST && longer <= LENET_PICTURE_MOST &&
           longer <= LENET_SCAN_RATIO * shorter;
}

/* Lines are to come, and are shrunk to so many. */
static void expect_lines(lenet_arrival *arrival, int lines, int size, int kept_lines, int kept_size,
                         uint32_t *sum)
{
    arrival->lines = lines;
    arrival->size = size;
    arrival->kept_lines = kept_lines;
    arrival->kept_size = kept_size;
    arrival->given = 0;
    arrival->left = lines;
    clear_words(sum, kept_size);
}

/* Whether its numbers are those of lines that were expected, and so many of them came; at most `side` of
 * them are kept. */
static int is_sound(const lenet_arrival *arrival, int side)
{
    return arrival->given >= 0 && arrival->left >= 0 &&
           arrival->left == arrival->lines - arrival->given && arrival->kept_lines > 0 &&
           arrival->kept_size > 0 && arrival->kept_lines <= lesser(arrival->lines, side) &&
           arrival->kept_size <= lesser(arrival->size, side) &&
           (int32_t)arrival->kept_lines * arrival->kept_size <= LENET_SCAN_PIXELS;
}

/* Whether this line was to come, of a size that can be; after one too many, or none, no more is. */
static int is_expected(lenet_arrival *arrival, const uint8_t *pixels, int can_be, int side)
{
    int is_next = pixels && can_be && arrival->left > 0 && is_sound(arrival, side);
    if (!is_next) {
        arrival->left = -1;
    }
    return is_next;
}

/* Shares out the next line among the places that it lies in: of its line of them, and the next. Returns
 * that line's number if it is whole now, else -1. */
static int add_line(lenet_arrival *arrival, uint32_t *line, uint32_t *sum, const uint8_t *pixels)
{
    int32_t begin = (int32_t)arrival->given * arrival->kept_lines;
    int place = (int)(begin / arrival->lines);
    int room = arrival->lines - (int)(begin % arrival->lines);
    int here = lesser(arrival->kept_lines, room);
    axis_walk along;
    begin_walk(&along, arrival->size, arrival->kept_size);
    clear_words(line, arrival->kept_size);
    for (int x = 0; x < arrival->size; x++) {
        add_next(line, &along, pixels[x]);
    }
    for (int x = 0; x < arrival->kept_size; x++) {
        sum[x] += line[x] * (uint32_t)here;
    }
    arrival->rest = (uint32_t)(arrival->kept_lines - here);
    arrival->given++;
    arrival->left--;
    return here == room ? place : -1;
}

/* A place of the line that is whole: the mean of its pixels. The rest begins that of the next. */
static int take_place(const lenet_arrival *arrival, const uint32_t *line, uint32_t *sum, int x)
{
    uint32_t area = (uint32_t)arrival->lines * (uint32_t)arrival->size;
    uint32_t mean = (sum[x] + area / 2u) / area;
    sum[x] = line[x] * arrival->rest;
    return (int)mean;
}

void lenet_scan_begin(lenet_scan *ws, int rows, int columns)
{
    int longer = greater(rows, columns), high = rows, wide = columns;
    if (!can_be_scanned(rows, columns)) {
        high = wide = 0;
    } else if (longer > LENET_SCAN_SIDE) {
        high = (int)(((int32_t)rows * LENET_SCAN_SIDE + longer / 2) / longer);
        wide = (int)(((int32_t)columns * LENET_SCAN_SIDE + longer / 2) / longer);
    } else {
        /* They are kept as they are. */
    }
    expect_lines(&ws->arrival, rows, columns, high, wide, ws->view.shared.scan.sum);
}

void lenet_scan_row(lenet_scan *ws, const uint8_t *row)
{
    lenet_arrival *arrival = &ws->arrival;
    uint32_t *line = ws->view.shared.scan.line, *sum = ws->view.shared.scan.sum;
    int can_be = can_be_scanned(arrival->lines, arrival->size);
    if (!is_expected(arrival, row, can_be, LENET_SCAN_SIDE)) {
        return;
    }
    int y = add_line(arrival, line, sum, row);
    for (int x = 0; y >= 0 && x < arrival->kept_size; x++) {
        ws->shared.pixels[y * arrival->kept_size + x] = (uint8_t)take_place(arrival, line, sum, x);
    }
}

/* Prepares what was kept, in its place; the box is made one of the picture. */
static lenet_verdict prepare_scan(lenet_scan *ws)
{
    const lenet_arrival *arrival = &ws->arrival;
    int rows = arrival->kept_lines, columns = arrival->kept_size;
    lenet_prepared *found = &ws->prepared;
    ws->view.shrink = 1;
    ws->view.strip = ws->shared.pixels;
    ws->view.kept = rows;
    ws->view.held = rows - 1;
    ws->view.difference = ws->line.difference;
    ws->view.ink[0] = ws->line.ink[0];
    ws->view.ink[1] = ws->line.ink[1];
    lenet_verdict verdict = prepare_view_of(&ws->view, rows, columns, ws->shared.read.image, found);
    found->top = (int)((int32_t)found->top * arrival->lines / rows);
    found->left = (int)((int32_t)found->left * arrival->size / columns);
    found->bottom = (int)(((int32_t)found->bottom * arrival->lines + rows - 1) / rows);
    found->right = (int)(((int32_t)found->right * arrival->size + columns - 1) / columns);
    return verdict;
}

static lenet_verdict finish_scan(lenet_scan *ws)
{
    lenet_arrival *arrival = &ws->arrival;
    lenet_verdict verdict = LENET_NO_PICTURE;
    if (can_be_scanned(arrival->lines, arrival->size)) {
        int is_whole = arrival->left == 0 && is_sound(arrival, LENET_SCAN_SIDE);
        verdict = is_whole ? prepare_scan(ws) : LENET_MISCOUNTED;
    }
    if (verdict == LENET_NO_PICTURE || verdict == LENET_MISCOUNTED) {
        find_nothing(ws->shared.read.image, &ws->prepared);
    }
    arrival->left = -1; /* what comes next is of no picture, until it begins */
    return verdict;
}

{% if cpu.is_generic %}
#ifdef __SDCC
void lenet_scan_finish(lenet_scan *ws, lenet_reading *reading)
{
    lenet_verdict verdict = finish_scan(ws);
    read_nothing(verdict, reading);
    if (verdict == LENET_ACCEPTED) {
        lenet_read(&ws->shared.read.network, ws->shared.read.image, reading);
    }
}
#else
{% endif %}
lenet_reading lenet_scan_finish(lenet_scan *ws)
{
    lenet_reading reading;
    lenet_verdict verdict = finish_scan(ws);
    read_nothing(verdict, &reading);
    return verdict == LENET_ACCEPTED ? lenet_read(&ws->shared.read.network, ws->shared.read.image)
                                     : reading;
}
{% if cpu.is_generic %}
#endif
{% endif %}
