/* ---- A line's light -------------------------------------------------------------------------- */

/* How a line becomes a text: its light and its ink; cells, sheared so that digits stand upright;
 * paths of least ink from top to bottom; what the network reads between two of them; and the text
 * that costs least. lenet_export/amount.py says the same in NumPy.
 *
 * Bounds, for any picture: a difference from the paper is -255 to 255; sums of a tile's pixels and
 * of all differences above the median are at most 64 * 512 * 255 and 256 * 4096 * 510. What is read
 * is at most 112/64 * 48 cells wide where it is sheared, and 15 more as it stands: 99, so that a
 * place of an image sums up to 255 * 99 * 99. A path costs at most 48 * (12 + 1) + 28, a step of a
 * text 4000 + 11 + 520 + 192, and it has at most 32 * 14. So 32 bits hold all.
 *
 * Costs were chosen on lines of validation digits (benchmarks/lattice.py); sizes in 64ths are of the
 * line's height. */
enum {
    LINE_PAD = 12,     /* columns of paper at either side of the cells */
    LINE_CONTRAST = 8, /* at least */
    CELL_INK = 100,    /* of 255: a cell of more has ink */
    INK_COST = 12,     /* of a cell of ink on a path; a step aside costs 1 */
    REACH = 19,        /* how far a path goes aside, in 64ths of the rows */
    CUT_REACH = 12,    /* and a cut */
    SPECK = 4,         /* cells of ink between two paths that part nothing */
    SMALL = 8,         /* a block with less than 1/8 of a block's median ink is no digit */
    COMMA = 29,        /* what is lower, in 64ths of the line's height, and low, is a comma */
    CUT_WIDTH = 25,    /* a wider block may be cut, in 64ths, as all sizes below */
    WIDTH_OF_CUT = 14, /* a block has a cut for each of it */
    APART = 34,        /* cells of ink between two cuts */
    CROSSED = 4,       /* a cut costs this for each cell of ink, beside half of its steps aside */
    MOST_COST = 4000,  /* in 16ths of a nat, as all that follow */
    UNLIKELY = 48,     /* a digit of this cost is none */
    SURE = 6,          /* a block of less is not cut */
    SURE_HEIGHT = 38,  /* if it is as high */
    SURE_WIDTH = 90,   /* and no wider */
    WIDEST = 112,      /* block that is one digit */
    PART_HEIGHT = 44,  /* of a digit that is cut out, at least */
    PART_WIDTH = 80,   /* and at most */
    PAIR_WIDTH = 83,   /* a block at least so wide may be three digits */
    LOW = 48,          /* a lower digit costs */
    LOW_COST = 2,      /* for each 64th */
    JOIN_COST = 16,    /* to take two blocks for one digit */
    SKIP = 192,        /* to take a block for no digit, which is */
    SKIP_HEIGHT = 32,  /* lower than this, or at either end of the line */
    BOUND = 16,        /* what a way may cost more than the block as one digit */
    NONE_FAR = 160,    /* a digit costs, where none costs less than so much more, */
    NONE_PART = 8,     /* an 8th of what is missing */
    COST_PART = 2,     /* of a text's cost, a half counts in its score */
    FRAME = 20,        /* the box of an image's digit */
    LAST_EDGE = LENET_CUTS + 1,
    NEXT_EDGE = LENET_CUTS + 2 /* where the block behind ends */
};

/* 16 * log(1 + exp(-gap / 16)): by the gap between the two largest logits, in 16ths of a nat, what
 * the larger one costs; the others cost so much more. */
static const uint8_t soft_cost[64] = {
    11, 11, 10, 10, 9, 9, 8, 8, 8, 7, 7, 7, 6, 6, 6, 5, 5, 5, 4, 4, 4, 4,
    4,  3,  3,  3,  3, 3, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1,
    1,  1,  1,  1,  1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0,
};

static uint8_t pixel_at(const lenet_parts *ws, int y, int x)
{
    if (ws->pixels != NULL) {
        return ws->pixels[(uintptr_t)ws->stride * (uintptr_t)y + (uintptr_t)x];
    }
    int k = x * ws->paper.rows + y;
    return (uint8_t)(17 * (ws->kept[k / 2] >> (4 * (k % 2)) & 15));
}

/* Row y; what is kept is unpacked, until something else needs the memory. */
static const uint8_t *line_row(lenet_parts *ws, int y)
{
    if (ws->pixels != NULL) {
        return ws->pixels + (uintptr_t)ws->stride * (uintptr_t)y;
    }
    for (int x = 0; x < ws->paper.columns; x++) {
        ws->shared.lit.row[x] = pixel_at(ws, y, x);
    }
    return ws->shared.lit.row;
}

/* The mean of each tile, of its pixels up to the mean that it has. */
static void measure_line(lenet_parts *ws)
{
    begin_tiles(&ws->shared.lit.light);
    for (int y = 0; y < ws->paper.rows; y++) {
        add_to_tiles(&ws->paper, &ws->shared.lit.light, y, line_row(ws, y));
    }
    finish_tiles(&ws->paper, &ws->shared.lit.light);
}

/* How far a pixel of a row is above the paper along it. */
static int level_at(const lenet_parts *ws, const int32_t paper[LENET_TILES], const uint8_t *row,
                    int x)
{
    return above_paper(&ws->paper, paper, x, row[x] ^ ws->paper.dark);
}

/* Counts how far the pixels are above their paper; returns the sum of those at the border. */
static int32_t count_levels(lenet_parts *ws)
{
    int32_t paper[LENET_TILES], border = 0;
    int bottom = ws->paper.rows - 1, right = ws->paper.columns - 1;
    clear_words(ws->shared.lit.light.shared.histogram, 511);
    for (int y = 0; y <= bottom; y++) {
        const uint8_t *row = line_row(ws, y);
        paper_along(&ws->paper, y, paper);
        for (int x = 0; x <= right; x++) {
            int level = level_at(ws, paper, row, x);
            ws->shared.lit.light.shared.histogram[255 + level]++;
            if (y == 0 || y == bottom || x == 0 || x == right) {
                border += level;
            }
        }
    }
    return border;
}

/* Finds how the line is lit; returns 0 if nothing stands out from the paper. */
static int find_light(lenet_parts *ws)
{
    lenet_light *light = &ws->shared.lit.light;
    int32_t area = (int32_t)ws->paper.rows * ws->paper.columns;
    int32_t around = 2 * ((int32_t)ws->paper.rows + ws->paper.columns) - 4;
    uint32_t few = area / 1024 > 6 ? (uint32_t)(area / 1024) : 6u, sum = 0, count = 0;
    measure_line(ws);
    smooth_tiles(&ws->paper, light, 0);
    find_polarity(&ws->paper, light, few, around, count_levels(ws));

    /* Paper is what is not above a tile's mean, and darkest of the tiles around. */
    measure_line(ws);
    smooth_tiles(&ws->paper, light, 1);
    (void)count_levels(ws);
    ws->base = count_up(light, (uint32_t)(area / 2) + 1u);
    int top = count_down(light, few);
    if (top - ws->base < LINE_CONTRAST) {
        return 0;
    }
    ws->threshold = ws->base + (top - ws->base) / 2;
    for (int k = ws->threshold + 1; k <= 255; k++) {
        sum += light->shared.histogram[255 + k] * (uint32_t)(k - ws->base);
        count += light->shared.histogram[255 + k];
    }
    ws->contrast = (int)(sum / count);
    return 1;
}

/* ---- A line's cells -------------------------------------------------------------------------- */

/* The ink of cells `from` to `to` of row y, as they stand: 0 to 255. Beyond the picture its border goes
 * on. */
static void find_cells_ink(const lenet_parts *ws, int y, int from, int to, uint8_t *ink)
{
    int32_t paper[LENET_TILES];
    int side = ws->side, least = ws->contrast / 5;
    paper_along(&ws->paper, inside(ws->top + y * side + side / 2, ws->paper.rows), paper);
    for (int x = from; x < to; x++) {
        int left = ws->left + x * side;
        uint32_t sum = 0;
        for (int i = 0; i < side; i++) {
            int row = inside(ws->top + y * side + i, ws->paper.rows);
            for (int j = 0; j < side; j++) {
                sum += pixel_at(ws, row, inside(left + j, ws->paper.columns)) ^
                       (uint32_t)ws->paper.dark;
            }
        }
        int mean = (int)(sum / ((uint32_t)side * (uint32_t)side));
        int32_t level =
            above_paper(&ws->paper, paper, inside(left + side / 2, ws->paper.columns), mean);
        level -= ws->base + least;
        level = level > 0 ? level * 255 / (ws->contrast - least) : 0;
        *ink++ = (uint8_t)(level < 255 ? level : 255);
    }
}

static int has_ink(const lenet_parts *ws, int y, int x)
{
    return (int)(ws->ink[y * ws->words + x / 32] >> (x % 32) & 1);
}

/* Whether a row of pixels is of a ruled line. */
static int is_ruled(const lenet_parts *ws, int y)
{
    return y >= 0 && y < ws->paper.rows && (ws->ruled[y / 32] >> (y % 32) & 1);
}

/* Whether a row of cells has one of them. */
static int is_ruled_cell(const lenet_parts *ws, int y)
{
    int found = 0;
    for (int i = 0; y >= 0 && y < ws->high && i < ws->side; i++) {
        found |= is_ruled(ws, inside(ws->top + y * ws->side + i, ws->paper.rows));
    }
    return found;
}

/* The first and behind the last pixel with ink in row y; returns how many there are. */
static int find_row_ink(lenet_parts *ws, int y, int *left, int *right)
{
    int32_t paper[LENET_TILES];
    const uint8_t *row = line_row(ws, y);
    int count = 0;
    paper_along(&ws->paper, y, paper);
    for (int x = 0; x < ws->paper.columns; x++) {
        if (level_at(ws, paper, row, x) > ws->threshold) {
            *left = count ? *left : x;
            *right = x + 1;
            count++;
        }
    }
    return count;
}

/* Finds the rows of ruled lines: those with ink in three quarters of their columns, where they are at
 * most a 16th of all. */
static void find_ruled(lenet_parts *ws)
{
    int left, right, start = 0;
    clear_words(ws->ruled, LENET_LINE_ROWS / 32);
    for (int y = 0; y <= ws->paper.rows; y++) {
        int32_t count = y < ws->paper.rows ? find_row_ink(ws, y, &left, &right) : 0;
        if (4 * count < (int32_t)3 * ws->paper.columns) {
            for (int k = start; y - start <= ws->paper.rows / 16 && k < y; k++) {
                ws->ruled[k / 32] |= (uint32_t)1 << (k % 32);
            }
            start = y + 1;
        }
    }
}

/* Finds the pixels with ink, and as many cells of equal sides over them as there is memory for.
 * Returns 0 if there are none. */
static int place_cells(lenet_parts *ws)
{
    int top = ws->paper.rows, bottom = 0, left = ws->paper.columns, right = 0;
    find_ruled(ws);
    for (int y = 0; y < ws->paper.rows; y++) {
        int first, end;
        if (!is_ruled(ws, y) && find_row_ink(ws, y, &first, &end)) {
            top = lesser(top, y);
            bottom = y + 1;
            left = lesser(left, first);
            right = greater(right, end);
        }
    }
    int across = LENET_LINE_WIDE - 2 * LINE_PAD;
    int down = (bottom - top + LENET_LINE_HIGH - 1) / LENET_LINE_HIGH;
    int side = greater(down, (right - left + across - 1) / across);
    if (bottom == 0) {
        return 0;
    }
    ws->side = side;
    ws->high = (bottom - top + side - 1) / side;
    ws->wide = (right - left + side - 1) / side + 2 * LINE_PAD;
    ws->words = (ws->wide + 31) / 32;
    ws->top = top;
    ws->left = left - LINE_PAD * side;
    return 1;
}

/* How far row y is sheared to the right by `slant` columns in 16 rows; rounded down. */
static int sheared(const lenet_parts *ws, int y, int slant)
{
    return ((y - ws->high / 2) * slant + 256) / 16 - 16;
}

/* The sum of the squares of the columns' ink, sheared so. */
static uint32_t sharpness(lenet_parts *ws, int slant)
{
    uint32_t sum = 0;
    fill_bytes(ws->shared.column, ws->wide, 0);
    for (int y = 0; y < ws->high; y++) {
        int shift = sheared(ws, y, slant);
        for (int x = LINE_PAD; x < ws->wide - LINE_PAD; x++) {
            ws->shared.column[x + shift] =
                (uint8_t)(ws->shared.column[x + shift] + has_ink(ws, y, x));
        }
    }
    for (int x = 0; x < ws->wide; x++) {
        sum += (uint32_t)ws->shared.column[x] * ws->shared.column[x];
    }
    return sum;
}

/* Finds the cells with ink as they stand; of a ruled line, those in which a stroke ends. */
static void fill_cells(lenet_parts *ws)
{
    for (int y = 0; y < ws->high; y++) {
        int is_own = !is_ruled_cell(ws, y);
        uint32_t *row = ws->ink + y * ws->words;
        clear_words(row, ws->words);
        for (int x = LINE_PAD; x < ws->wide - LINE_PAD; x++) {
            uint8_t ink;
            find_cells_ink(ws, y, x, x + 1, &ink);
            if (ink > CELL_INK &&
                (is_own || (y && (has_ink(ws, y - 1, x - 1) || has_ink(ws, y - 1, x) ||
                                  has_ink(ws, y - 1, x + 1))))) {
                row[x / 32] |= (uint32_t)1 << (x % 32);
            }
        }
    }
}

/* Shears the cells by what makes their columns sharpest. */
static void shear_cells(lenet_parts *ws)
{
    int best = 0;
    uint32_t sharpest = 0;
    for (int k = 0; k < 11; k++) {
        int slant = k % 2 ? (k + 1) / 2 : -k / 2; /* 0, 1, -1, 2, ... */
        uint32_t sharp = sharpness(ws, slant);
        if (sharp > sharpest) {
            sharpest = sharp;
            best = slant;
        }
    }
    for (int y = 0; y < ws->high; y++) {
        uint32_t upright[LENET_LINE_WIDE / 32], *row = ws->ink + y * ws->words;
        int shift = sheared(ws, y, best);
        copy_bytes(upright, row, 4 * ws->words);
        clear_words(row, ws->words);
        for (int x = LINE_PAD; x < ws->wide - LINE_PAD; x++) {
            int to = x + shift;
            row[to / 32] |= (upright[x / 32] >> (x % 32) & 1) << (to % 32);
        }
        ws->shift[y] = (int8_t)shift;
    }
}

/* Word k of row y, of the cells from column `from` to before `to`. */
static uint32_t cells_from(const lenet_parts *ws, int y, int k, int from, int to)
{
    uint32_t cells = ws->ink[y * ws->words + k];
    if (from > 32 * k) {
        cells = from < 32 * k + 32 ? cells & 0xFFFFFFFFu << (from % 32) : 0u;
    }
    if (to < 32 * k + 32) {
        cells = to > 32 * k ? cells & ~(0xFFFFFFFFu << (to % 32)) : 0u;
    }
    return cells;
}

/* How many cells with ink lie between two paths. */
static int count_between(const lenet_parts *ws, const uint16_t *left, const uint16_t *right)
{
    int count = 0;
    for (int y = 0; y < ws->high; y++) {
        for (int k = left[y] / 32; 32 * k < right[y]; k++) {
            for (uint32_t cells = cells_from(ws, y, k, left[y], right[y]); cells != 0u;
                 cells &= cells - 1u) {
                count++;
            }
        }
    }
    return count;
}

/* The box of the cells with ink between two paths, sheared or as they stand; 0 if there are none. */
static int find_cell_box(const lenet_parts *ws, const uint16_t *left, const uint16_t *right,
                         int is_sheared, ink_box *box)
{
    make_empty(box);
    for (int y = 0; y < ws->high; y++) {
        int back = is_sheared ? 0 : ws->shift[y];
        for (int x = left[y]; x < right[y]; x++) {
            if (has_ink(ws, y, x)) {
                include(box, y, x - back);
            }
        }
    }
    return box->bottom > 0;
}

/* ---- A line's paths -------------------------------------------------------------------------- */

/* The path of least ink from top to bottom that begins and ends about `column`, where it costs each
 * column aside. Returns what it costs; *crossed becomes its cells of ink. */
static int find_path(lenet_parts *ws, int column, int reach, lenet_path path, int *crossed)
{
    reach = greater(ws->high * reach / 64, 2);
    int left = column - reach, from = greater(-left, 0);
    int to = lesser(2 * reach + 1, ws->wide - left);
    for (int y = 0; y < ws->high; y++) {
        const uint16_t *above = ws->shared.search.best[(y + 1) % 2];
        uint16_t *best = ws->shared.search.best[y % 2];
        for (int k = from; k < to; k++) {
            int cost = k < reach ? reach - k : k - reach, step = 0;
            if (y != 0) {
                cost = above[k];
                if (k > from && above[k - 1] + 1 < cost) {
                    cost = above[k - 1] + 1;
                    step = -1;
                }
                if (k + 1 < to && above[k + 1] + 1 < cost) {
                    cost = above[k + 1] + 1;
                    step = 1;
                }
            }
            best[k] = (uint16_t)(cost + (has_ink(ws, y, left + k) ? INK_COST : 0));
            ws->shared.search.step[y][k] = (int8_t)step;
        }
    }
    const uint16_t *last = ws->shared.search.best[(ws->high + 1) % 2];
    int cost = INT16_MAX, at = from;
    for (int k = from; k < to; k++) {
        int aside = k < reach ? reach - k : k - reach;
        if (last[k] + aside < cost) {
            cost = last[k] + aside;
            at = k;
        }
    }
    *crossed = 0;
    for (int y = ws->high - 1; y >= 0; y--) {
        path[y] = (uint16_t)(left + at);
        *crossed += has_ink(ws, y, left + at);
        at += ws->shared.search.step[y][at];
    }
    return cost;
}

static void copy_path(const uint16_t *from, uint16_t *to)
{
    copy_bytes(to, from, LENET_LINE_HIGH * 2);
}

/* No path is left of the one before it. */
static void keep_order(const lenet_parts *ws, const uint16_t *before, uint16_t *path)
{
    for (int y = 0; y < ws->high; y++) {
        path[y] = (uint16_t)greater(before[y], path[y]);
    }
}

/* Paths that cross no ink and have none between them: the first and the last of the cheapest. */
typedef struct {
    int count, cost, first, last;
} path_group;

/* The one amid the group's cheapest, where that is as cheap, else the first, parts two blocks. */
static void add_free_path(lenet_parts *ws, const path_group *group)
{
    lenet_path path;
    int crossed, amid = (group->first + group->last) / 2;
    if (group->count && ws->paths <= LENET_BLOCKS) {
        int is_cheapest = find_path(ws, amid, REACH, path, &crossed) == group->cost;
        ws->path[ws->paths++] = (uint16_t)(is_cheapest ? amid : group->first);
    }
}

/* Finds the paths that part the blocks. */
static void find_free_paths(lenet_parts *ws)
{
    lenet_path first, path;
    path_group group;
    group.count = group.cost = group.first = group.last = 0;
    ws->paths = 0;
    for (int x = 0; x < ws->wide; x++) {
        int crossed, cost = find_path(ws, x, REACH, path, &crossed);
        if (crossed != 0) {
            continue;
        }
        if (group.count && count_between(ws, first, path) > SPECK) {
            add_free_path(ws, &group);
            group.count = 0;
        }
        if (group.count == 0) {
            copy_path(path, first);
        }
        if (group.count == 0 || cost < group.cost) {
            group.cost = cost;
            group.first = x;
        }
        if (cost == group.cost) {
            group.last = x;
        }
        group.count++;
    }
    add_free_path(ws, &group);
}

/* ---- A line's blocks ------------------------------------------------------------------------- */

/* The median, the lower of two, of the sizes that are more than a `part`th of the largest. */
static int median_size(const uint16_t *sizes, int count, int part)
{
    int most = 0, kept = 0;
    for (int k = 0; k < count; k++) {
        most = greater(most, sizes[k]);
    }
    for (int k = 0; k < count; k++) {
        kept += (int32_t)part * sizes[k] > most;
    }
    /* As many of them are larger as kept / 2, or fewer, where some are equal. */
    for (int k = 0; k < count; k++) {
        int larger = 0, equal = 0;
        for (int j = 0; j < count; j++) {
            larger += sizes[j] > sizes[k];
            equal += sizes[j] == sizes[k];
        }
        if ((int32_t)part * sizes[k] > most && larger <= kept / 2 && kept / 2 < larger + equal) {
            return sizes[k];
        }
    }
    return 0;
}

/* Free path k, behind `before`, which is the one before it. */
static void free_path(lenet_parts *ws, int k, const uint16_t *before, uint16_t *path)
{
    int crossed;
    (void)find_path(ws, ws->path[k], REACH, path, &crossed);
    if (k != 0) {
        keep_order(ws, before, path);
    }
}

/* Finds the height of the line and the ink of a block, medians of the larger ones. */
static void measure_blocks(lenet_parts *ws)
{
    uint16_t height[LENET_BLOCKS], mass[LENET_BLOCKS];
    lenet_path left, right;
    ink_box box;
    for (int k = 0; k < ws->paths; k++) {
        free_path(ws, k, left, right);
        if (k != 0) {
            int is_block = find_cell_box(ws, left, right, 1, &box);
            height[k - 1] = (uint16_t)(is_block ? box.bottom - box.top : 0);
            mass[k - 1] = (uint16_t)count_between(ws, left, right);
        }
        copy_path(right, left);
    }
    ws->height = median_size(height, ws->paths - 1, 2);
    ws->mass = median_size(mass, ws->paths - 1, SMALL);
}

/* A size in cells in 64ths of the line's height. */
static int share_of_height(const lenet_parts *ws, int size)
{
    return (int)((int32_t)64 * size / ws->height);
}

/* The next block that may be a digit goes to ws->next; ws->next[1] is free path k. Returns the number of
 * the path at its right edge, or 0 if there is none. */
static int find_block(lenet_parts *ws, int k)
{
    ink_box box;
    while (++k < ws->paths) {
        copy_path(ws->next[1], ws->next[0]);
        free_path(ws, k, ws->next[0], ws->next[1]);
        if (find_cell_box(ws, ws->next[0], ws->next[1], 1, &box)) {
            int32_t mass = count_between(ws, ws->next[0], ws->next[1]);
            int is_comma =
                share_of_height(ws, box.bottom - box.top) < COMMA && 2 * box.top > ws->high;
            if (SMALL * mass >= ws->mass && !is_comma) {
                return k;
            }
        }
    }
    return 0;
}

/* A path through a block, about a column. */
typedef struct {
    int column, cost, before, crossed; /* what it costs, the ink left of it, the ink on it */
} cut_path;

/* Keeps a cut, unless a better one is near; in place of those near, and of the worst if there are too
 * many. Returns how many there are. */
static int keep_cut(cut_path *cuts, int count, int most, int apart, const cut_path *cut)
{
    int kept = 0, worst = 0;
    for (int k = 0; k < count; k++) {
        int away = cut->before - cuts[k].before;
        if (away < apart && -away < apart && cut->cost >= cuts[k].cost) {
            return count;
        }
    }
    for (int k = 0; k < count; k++) {
        int away = cut->before - cuts[k].before;
        if (away >= apart || -away >= apart) {
            copy_bytes(cuts + kept++, cuts + k, sizeof(cut_path));
        }
    }
    copy_bytes(cuts + kept++, cut, sizeof(cut_path));
    if (kept > most) {
        for (int k = 1; k < kept; k++) {
            worst = cuts[k].cost > cuts[worst].cost ? k : worst;
        }
        copy_bytes(cuts + worst, cuts + worst + 1, (int)sizeof(cut_path) * (--kept - worst));
    }
    return kept;
}

/* The path about `column`, as far as it lies in the block that begins at ws->edge[0], and its cut. */
static void find_cut(lenet_parts *ws, int column, const uint16_t *right, lenet_path path,
                     cut_path *cut)
{
    int crossed;
    cut->column = column;
    cut->cost = (find_path(ws, column, CUT_REACH, path, &crossed) - INK_COST * crossed) / 2;
    cut->crossed = 0;
    for (int y = 0; y < ws->high; y++) {
        path[y] = (uint16_t)greater(lesser(path[y], right[y]), ws->edge[0][y]);
        cut->crossed += path[y] < right[y] && has_ink(ws, y, path[y]);
    }
    cut->cost += CROSSED * cut->crossed;
    cut->before = count_between(ws, ws->edge[0], path);
}

/* Cuts the block from ws->edge[0] to `right`: its best cuts are the next edges, `right` the last. */
static void cut_block(lenet_parts *ws, const uint16_t *right, const ink_box *box)
{
    cut_path cuts[LENET_CUTS + 1], cut;
    lenet_path path;
    int width = share_of_height(ws, box->right - box->left);
    int apart = APART * ws->height / 64, mass = count_between(ws, ws->edge[0], right), count = 0;
    int most = lesser(width / WIDTH_OF_CUT, LENET_CUTS);
    for (int x = box->left; width > CUT_WIDTH && x < box->right; x++) {
        find_cut(ws, x, right, path, &cut);
        if (cut.before >= apart && mass - cut.before >= apart) {
            count = keep_cut(cuts, count, most, apart, &cut);
        }
    }
    ws->cuts = count;
    ws->crossed[0] = ws->crossed[count + 1] = 0;
    for (int k = 1; k <= count; k++) { /* in order of the ink before them */
        int next = -1;
        for (int j = 0; j < count; j++) {
            if (cuts[j].before >= 0 && (next < 0 || cuts[j].before < cuts[next].before)) {
                next = j;
            }
        }
        find_cut(ws, cuts[next].column, right, ws->edge[k], &cut);
        keep_order(ws, ws->edge[k - 1], ws->edge[k]);
        ws->crossed[k] = (uint8_t)cut.crossed;
        cuts[next].before = -1;
    }
    copy_path(right, ws->edge[count + 1]);
    keep_order(ws, ws->edge[count], ws->edge[count + 1]);
}

/* ---- A line's images ------------------------------------------------------------------------- */

/* Row y of cells from column box->left - 1 to box->right; empty is what is not between the paths, and
 * beside a ruled line what is in no cell with ink. */
static void find_row(const lenet_parts *ws, const uint16_t *left, const uint16_t *right, int y,
                     const ink_box *box, uint8_t *ink)
{
    int is_row = y >= 0 && y < ws->high;
    int is_beside = is_ruled_cell(ws, y - 1) || is_ruled_cell(ws, y) || is_ruled_cell(ws, y + 1);
    if (is_row) {
        find_cells_ink(ws, y, box->left - 1, box->right + 1, ink);
    }
    for (int x = box->left - 1; x <= box->right; x++, ink++) {
        int column = is_row ? x + ws->shift[y] : 0;
        if (!is_row || column < left[y] || column >= right[y] ||
            (is_beside && !has_ink(ws, y, column))) {
            fill_bytes(ink, 1, 0);
        }
    }
}

/* Sums up the box in rows x columns places: each cell enlarged to parts x parts by interpolation. */
static void sum_part(lenet_parts *ws, const uint16_t *left, const uint16_t *right,
                     const ink_box *box, int parts, int rows, int columns)
{
    uint32_t *places = ws->shared.image.use.box, line[FRAME];
    uint32_t area = (uint32_t)(4 * parts * parts);
    int last = -1; /* in ink[last % 2] is row box->top - 1 + last */
    axis_walk down, along;
    begin_walk(&down, (box->bottom - box->top) * parts, rows);
    clear_words(places, rows * columns);
    for (int i = 0; i < down.from; i++) {
        int y = 2 * i + 1 + parts;
        uint32_t below = (uint32_t)(y % (2 * parts)), above = (uint32_t)(2 * parts) - below;
        while (last <= y / (2 * parts)) {
            last++;
            find_row(ws, left, right, box->top - 1 + last, box,
                     ws->shared.image.cells.ink[last % 2]);
        }
        const uint8_t *upper = ws->shared.image.cells.ink[(last + 1) % 2];
        const uint8_t *lower = ws->shared.image.cells.ink[last % 2];
        begin_walk(&along, (box->right - box->left) * parts, columns);
        clear_words(line, columns);
        for (int j = 0; j < along.from; j++) {
            int x = 2 * j + 1 + parts;
            uint32_t behind = (uint32_t)(x % (2 * parts)), before = (uint32_t)(2 * parts) - behind;
            const uint8_t *a = upper + x / (2 * parts), *b = lower + x / (2 * parts);
            uint32_t ink =
                (a[0] * before + a[1] * behind) * above + (b[0] * before + b[1] * behind) * below;
            add_next(line, &along, ink / area);
        }
        add_row(places, &down, line, columns);
    }
}

/* Brings what lies between two paths to an image, as the digits of the training images are. */
static void make_part(lenet_parts *ws, const uint16_t *left, const uint16_t *right)
{
    ink_box box;
    (void)find_cell_box(ws, left, right, 0, &box);
    int high = box.bottom - box.top, wide = box.right - box.left, side = greater(high, wide);
    int parts = side < 2 * FRAME ? (2 * FRAME + side - 1) / side : 1;
    int rows = greater((high * FRAME + side / 2) / side, 1);
    int columns = greater((wide * FRAME + side / 2) / side, 1);
    sum_part(ws, left, right, &box, parts, rows, columns);
    (void)place_box(ws->shared.image.use.box, rows, columns,
                    (uint32_t)(high * parts) * (uint32_t)(wide * parts),
                    ws->shared.image.cells.image);
}

/* ---- A line's texts -------------------------------------------------------------------------- */

/* What lies between two paths, read: what each output costs. */
typedef struct {
    int is_read;
    int width, height; /* in 64ths of the line's height */
    uint32_t cost[LENET_LOGITS];
} arc;

/* Measures what lies between two paths; returns whether it is at least `least` high and at most
 * `widest` wide. */
static int measure_arc(const lenet_parts *ws, const uint16_t *left, const uint16_t *right,
                       int least, int widest, arc *found)
{
    ink_box box;
    if (!find_cell_box(ws, left, right, 1, &box)) {
        return 0;
    }
    found->height = share_of_height(ws, box.bottom - box.top);
    found->width = share_of_height(ws, box.right - box.left);
    return found->height >= least && found->width <= widest;
}

/* Reads what lies between two paths, if it is at least `least` high and at most `widest` wide. */
static void read_arc(lenet_parts *ws, lenet_amount *amount, const uint16_t *left,
                     const uint16_t *right, int least, int widest, arc *read)
{
    int32_t logits[LENET_LOGITS];
    read->is_read = measure_arc(ws, left, right, least, widest, read);
    if (!read->is_read) {
        return;
    }
    make_part(ws, left, right);
    (void)lenet_logits(&ws->shared.image.use.network, ws->shared.image.cells.image, logits);
    amount->readings++;
    int top = largest(logits, LENET_LOGITS, -1), second = largest(logits, LENET_LOGITS, top);
    uint32_t gap = ((uint32_t)logits[top] - (uint32_t)logits[second]) / LENET_COST_UNIT;
    for (int o = 0; o < LENET_LOGITS; o++) {
        uint32_t cost = ((uint32_t)logits[top] - (uint32_t)logits[o]) / LENET_COST_UNIT;
        read->cost[o] =
            (cost < MOST_COST ? cost : (uint32_t)MOST_COST) + soft_cost[gap < 63u ? gap : 63u];
    }
    /* A digit that looks like none too is dearer: two that are taken for one do. */
    for (int d = 0; LENET_LOGITS > LENET_CLASSES && d < LENET_CLASSES; d++) {
        int missing = NONE_FAR - (int)(read->cost[LENET_LOGITS - 1] - read->cost[d]);
        read->cost[d] += (uint32_t)greater(missing, 0) / NONE_PART;
    }
}

/* The digit that costs least of those that cost more than `than`, or as much behind it. */
static int next_digit(const arc *read, int than)
{
    int best = -1;
    for (int d = 0; d < LENET_CLASSES; d++) {
        int is_behind = than < 0 || read->cost[d] > read->cost[than] ||
                        (read->cost[d] == read->cost[than] && d > than);
        if (is_behind && (best < 0 || read->cost[d] < read->cost[best])) {
            best = d;
        }
    }
    return best;
}

static int arc_is_sure(const arc *read)
{
    return read->is_read && read->cost[next_digit(read, -1)] < SURE &&
           read->height >= SURE_HEIGHT && read->width <= SURE_WIDTH;
}

static int digit_at(const uint8_t *text, int k)
{
    return text[k / 2] >> (4 * (k % 2)) & 15;
}

/* Whether two ways have the same text. */
static int is_same(const lenet_ways *a, int i, const lenet_ways *b, int j)
{
    int same = a->way[i].digits == b->way[j].digits;
    for (int k = 0; same && k < a->way[i].digits; k++) {
        same = digit_at(a->way[i].text, k) == digit_at(b->way[j].text, k);
    }
    return same;
}

/* Adds the way added->way[0] to the cheapest; of each text the cheapest, of equals the first stays. */
static void put_way(lenet_ways *ways, const lenet_ways *added)
{
    int place = 0, end = ways->count, size = sizeof(ways->way[0]);
    for (int k = 0; k < ways->count; k++) {
        if (is_same(ways, k, added, 0)) {
            if (ways->way[k].cost <= added->way[0].cost) {
                return;
            }
            end = k;
        }
        place += ways->way[k].cost <= added->way[0].cost;
    }
    if (place == LENET_WAYS) {
        return;
    }
    if (end == ways->count && end < LENET_WAYS) {
        ways->count++;
    }
    for (int k = lesser(end, LENET_WAYS - 1); k > place; k--) {
        copy_bytes(ways->way + k, ways->way + k - 1, size);
    }
    copy_bytes(ways->way + place, added->way, size);
}

/* How sure a digit is: what `rival` costs more, which is another one, and half of what none does. */
static int sureness(const arc *read, int digit, int rival)
{
    int own = (int)read->cost[digit], sure = (int)read->cost[rival] - own;
    if (LENET_LOGITS > LENET_CLASSES) {
        sure += greater((int)read->cost[LENET_LOGITS - 1] - own, 0) / 2;
    }
    return greater(sure, 0);
}

/* All ways of `start` go on to `end` by a digit, which is so sure, or by none if it is -1. */
static void take_step(const lenet_ways *start, lenet_ways *end, uint32_t cost, int digit, int sure)
{
    lenet_ways step;
    for (int k = 0; k < start->count; k++) {
        copy_bytes(step.way, start->way + k, sizeof(step.way[0]));
        step.way[0].cost += cost;
        step.way[0].sure = (uint16_t)lesser(step.way[0].sure, sure);
        if (digit >= 0) {
            int at = step.way[0].digits;
            uint8_t *two = step.way[0].text + at / 2;
            if (at <= LENET_AMOUNT_DIGITS) { /* one too many is kept, to tell it */
                *two = (uint8_t)(at % 2 ? (*two & 15) | digit << 4 : digit);
                step.way[0].digits++;
            }
        }
        put_way(end, &step);
    }
}

/* Takes what was read for its three likeliest digits, as far as they cost less than `most`, or for
 * none. */
static void take_arc(const lenet_ways *start, lenet_ways *end, const arc *read, uint32_t extra,
                     int may_skip, int most)
{
    if (!read->is_read) {
        return;
    }
    int best = next_digit(read, -1), second = next_digit(read, best);
    extra += (uint32_t)(LOW_COST * greater(LOW - read->height, 0));
    for (int k = 0, digit = -1; k < 3; k++) {
        digit = next_digit(read, digit);
        if ((int)read->cost[digit] < most) {
            take_step(start, end, read->cost[digit] + extra, digit,
                      sureness(read, digit, digit == best ? second : best));
        }
    }
    if (may_skip) {
        uint32_t none = LENET_LOGITS > LENET_CLASSES ? read->cost[LENET_LOGITS - 1] : 0u;
        take_step(start, end, SKIP + none, -1, MOST_COST);
    }
}

/* The ways through the block at hand by its cuts. */
static void take_cuts(lenet_parts *ws, lenet_amount *amount, int width)
{
    arc part;
    int last = ws->cuts + 1;
    lenet_ways *end = ws->ways + LAST_EDGE;
    for (int k = 1; k < last; k++) {
        ws->ways[k].count = 0;
    }
    for (int i = 0; i < last; i++) {
        const lenet_ways *start = ws->ways + i;
        for (int j = i + 1; j <= last; j++) {
            int is_inner = i > 0 && j < last, is_pair = width < PAIR_WIDTH;
            if (j - i == last || (is_pair && is_inner) || start->count == 0 ||
                (end->count && start->way[0].cost > end->way[0].cost + BOUND)) {
                continue;
            }
            /* What lies behind one of two digits is the other one, of a digit's size too. */
            if (is_pair && i == 0 &&
                !measure_arc(ws, ws->edge[j], ws->edge[last], PART_HEIGHT, PART_WIDTH, &part)) {
                continue;
            }
            read_arc(ws, amount, ws->edge[i], ws->edge[j], PART_HEIGHT, PART_WIDTH, &part);
            take_arc(start, j < last ? ws->ways + j : end, &part,
                     (uint32_t)(ws->crossed[i] + ws->crossed[j]) / 2u, 0, UNLIKELY);
        }
    }
}

/* Reads the blocks from left to right, and finds the texts that cost least: ws->ways[0]. */
static void read_blocks(lenet_parts *ws, lenet_amount *amount)
{
    arc read[2], both;
    ink_box box;
    lenet_ways *start = ws->ways, *end = ws->ways + LAST_EDGE, *behind = ws->ways + NEXT_EDGE;
    start->count = end->count = behind->count = 0;
    free_path(ws, 0, ws->next[1], ws->next[1]);
    int block = find_block(ws, 0);
    if (block != 0) {
        start->count = 1;
        start->way[0].cost = 0;
        start->way[0].sure = MOST_COST;
        start->way[0].digits = 0;
        read_arc(ws, amount, ws->next[0], ws->next[1], 0, WIDEST, read);
    }
    for (int k = 0; block != 0; k++) {
        const arc *whole = read + k % 2;
        arc *next = read + (k + 1) % 2;
        copy_path(ws->next[0], ws->edge[0]);
        (void)find_cell_box(ws, ws->next[0], ws->next[1], 1, &box);
        cut_block(ws, ws->next[1], &box);
        block = find_block(ws, block);
        int height = share_of_height(ws, box.bottom - box.top);
        take_arc(start, end, whole, 0, (k == 0) != (block == 0) || height < SKIP_HEIGHT,
                 2 * MOST_COST);
        if (!arc_is_sure(whole)) {
            take_cuts(ws, amount, share_of_height(ws, box.right - box.left));
        }
        if (block != 0) {
            read_arc(ws, amount, ws->next[0], ws->next[1], 0, WIDEST, next);
            if (start->count && !(arc_is_sure(whole) && arc_is_sure(next))) {
                read_arc(ws, amount, ws->edge[0], ws->next[1], 0, WIDEST, &both);
                take_arc(start, behind, &both, JOIN_COST, 0, 2 * MOST_COST);
            }
        }
        copy_bytes(start, end, sizeof(lenet_ways));
        copy_bytes(end, behind, sizeof(lenet_ways));
        behind->count = 0;
    }
}

/* ---- Amounts --------------------------------------------------------------------------------- */

/* The cheapest text, and how sure it is. */
static void tell_amount(const lenet_ways *ways, lenet_amount *amount)
{
    if (ways->count == 0 || ways->way[0].digits == 0u ||
        ways->way[0].digits > LENET_AMOUNT_DIGITS) {
        amount->verdict = LENET_NO_CLASS;
        return;
    }
    int32_t best = (int32_t)ways->way[0].cost, margin = MOST_COST;
    if (ways->count > 1) {
        int32_t gap = (int32_t)ways->way[1].cost - best; /* they are in order */
        margin = gap < margin ? gap : margin;
    }
    amount->digits = ways->way[0].digits;
    for (int k = 0; k < amount->digits; k++) {
        amount->text[k] = (char)('0' + digit_at(ways->way[0].text, k));
    }
    amount->score = margin + ways->way[0].sure - best / COST_PART;
    amount->score = amount->score > 0 ? amount->score : 0;
    amount->verdict = amount->score < LENET_MIN_SCORE ? LENET_UNSURE : LENET_ACCEPTED;
}

/* Reads the line that ws->pixels or ws->kept holds. */
static void read_parts(lenet_parts *ws, int rows, int columns, lenet_amount *amount)
{
    begin_paper(&ws->paper, &ws->shared.lit.light, rows, columns);
    amount->verdict = LENET_NO_INK;
    if (find_light(ws) && place_cells(ws)) {
        fill_cells(ws);
        shear_cells(ws);
        find_free_paths(ws);
        measure_blocks(ws);
        if (ws->height != 0) {
            read_blocks(ws, amount);
            tell_amount(ws->ways, amount);
        }
    }
{% if plan.is_hardened %}
    if (tables_differ() != 0u) {
        amount->verdict = LENET_DAMAGED;
    }
{% endif %}
    amount->accepted = amount->verdict == LENET_ACCEPTED;
}

/* No amount, and why there is none. */
static void tell_nothing(lenet_verdict verdict, lenet_amount *amount)
{
    fill_bytes((uint8_t *)amount->text, LENET_AMOUNT_DIGITS + 1, 0);
    amount->digits = amount->readings = amount->accepted = 0;
    amount->score = 0;
    amount->verdict = verdict;
}

static int can_be_line(int rows, int columns)
{
    return rows >= LENET_LINE_LEAST && rows <= LENET_LINE_ROWS && columns >= LENET_LINE_LEAST &&
           columns <= LENET_LINE_COLUMNS;
}

static void read_line(lenet_line *ws, const uint8_t *line, int rows, int columns, int32_t stride,
                      lenet_amount *amount)
{
    tell_nothing(LENET_NO_PICTURE, amount);
    if (line && can_be_line(rows, columns) && stride >= columns) {
        ws->parts.pixels = line;
        ws->parts.stride = stride;
        ws->parts.ink = ws->ink;
        read_parts(&ws->parts, rows, columns, amount);
    }
}

/* ---- A line's columns ------------------------------------------------------------------------ */

static int can_be_pushed(int rows, int columns)
{
    return can_be_line(rows, columns) &&
           greater(rows, columns) <= (int32_t)LENET_SCAN_RATIO * lesser(rows, columns);
}

void lenet_amount_begin(lenet_columns *ws, int rows, int columns)
{
    int high = rows, wide = columns;
    if (!can_be_pushed(rows, columns)) {
        high = wide = 0;
    }
    while ((int32_t)high * wide > LENET_SCAN_PIXELS) {
        high--;
        wide = (int)(((int32_t)columns * high + rows / 2) / rows);
    }
    expect_lines(&ws->arrival, columns, rows, wide, high, ws->parts.shared.scan.sum);
}

void lenet_amount_column(lenet_columns *ws, const uint8_t *column)
{
    lenet_arrival *arrival = &ws->arrival;
    uint32_t *line = ws->parts.shared.scan.line, *sum = ws->parts.shared.scan.sum;
    int can_be = can_be_pushed(arrival->size, arrival->lines);
    if (!is_expected(arrival, column, can_be, LENET_KEPT_SIDE)) {
        return;
    }
    int x = add_line(arrival, line, sum, column);
    for (int y = 0; x >= 0 && y < arrival->kept_size; y++) {
        int k = x * arrival->kept_size + y;
        int level = (int)(((int32_t)take_place(arrival, line, sum, y) * 15 + 127) / 255);
        uint8_t *two = ws->kept + k / 2;
        *two = (uint8_t)(k % 2 ? (*two & 15) | level << 4 : level);
    }
}

static void finish_columns(lenet_columns *ws, lenet_amount *amount)
{
    lenet_arrival *arrival = &ws->arrival;
    tell_nothing(LENET_NO_PICTURE, amount);
    if (can_be_pushed(arrival->size, arrival->lines)) {
        amount->verdict = LENET_MISCOUNTED;
        if (arrival->left == 0 && is_sound(arrival, LENET_KEPT_SIDE)) {
            ws->parts.pixels = NULL;
            ws->parts.kept = ws->kept;
            ws->parts.ink = ws->ink;
            read_parts(&ws->parts, arrival->kept_size, arrival->kept_lines, amount);
        }
    }
    arrival->left = -1; /* what comes next is of no line, until it begins */
}

{% if cpu.is_generic %}
#ifdef __SDCC
void lenet_read_amount(lenet_line *ws, const uint8_t *line, int rows, int columns, int32_t stride,
                       lenet_amount *amount)
{
    read_line(ws, line, rows, columns, stride, amount);
}

void lenet_amount_finish(lenet_columns *ws, lenet_amount *amount)
{
    finish_columns(ws, amount);
}
#else
{% endif %}
lenet_amount lenet_read_amount(lenet_line *ws, const uint8_t *line, int rows, int columns,
                               int32_t stride)
{
    lenet_amount amount;
    read_line(ws, line, rows, columns, stride, &amount);
    return amount;
}

lenet_amount lenet_amount_finish(lenet_columns *ws)
{
    lenet_amount amount;
    finish_columns(ws, &amount);
    return amount;
}
{% if cpu.is_generic %}
#endif
{% endif %}
