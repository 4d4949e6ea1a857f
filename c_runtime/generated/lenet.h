/* lenet.h - lenet trained on mnist, int8, no dependencies.
 *
 * GENERATED FILE - do not edit.  lenet-export 0.1.0: lenet-export --target c
 * SPDX-License-Identifier: 0BSD
 *
 * Model 32e6c8c55f95b14f7b5d1550900e883801b37ec7422427d1369eb59bb1642785
 * 61 706 parameters, 416 520 multiply-adds for an image.
 * Constants: 63 378 bytes of flash. Workspace: 1 112 bytes of RAM.
 *
 *     static lenet_workspace ws;
 *     int digit = lenet_predict(&ws, image);
 *
 * Conventions, for every function below:
 *   - No function can fail: every image is valid, nothing is allocated.
 *   - Pointers must be valid and not null; buffers must not overlap.
 *   - Results are the same, bit for bit, with every C99 compiler, on every CPU.
 *   - lenet_logits takes the same number of instructions for every image, by gcc or clang,
 *     on a CPU that has an instruction to multiply.
 *     A cache may take unequal time: which entry of a table is read depends on the image.
 *   - Re-entrant: there is no global state. Use one workspace for each thread.
 *   - Functions of a whole image, and those of the self-test, discard rows already given.
 *   - Images are 28 rows of 28 bytes, top left first; 0 is background, 255 is ink.
 *     A digit is scaled to fit into 20x20 pixels and centred by its mass.
 */
#ifndef LENET_H
#define LENET_H

#include <stdint.h>

/* Of this export: lenet.c compiles with no other lenet.h. */
#define LENET_EXPORT_9D368CB6EF5CAECC

#ifdef __cplusplus
extern "C" {
#endif

#define LENET_ROWS 28
#define LENET_COLUMNS 28
#define LENET_CHANNELS 1
#define LENET_CLASSES 10
#define LENET_LOGITS 10 /* one for each class */
#define LENET_CONSTANT_BYTES 63378
#define LENET_WORKSPACE_BYTES 1112
#define LENET_SELF_TEST_STEPS 363

/* A logit, or a gap, times this approximates the float network's. */
#define LENET_LOGIT_SCALE 8.3008184e-05f

/* The smallest score gap of an accepted reading, in the unit of the logits.
 *
 * 0: exported without --max-error, so that no reading is rejected for its gap.
 *
 * Beside it, an image is rejected whose ink is not like that of the training images: its bytes must
 * sum up to 6 642 to 60 989, at most about 11.3 % of that within 3 pixels of the border, and one
 * must be 254 or more. Of 5 000 held-out validation images 3 are not (0.06 %), whatever the
 * threshold.
 *
 * Other choices, measured with the float network on 5 000 held-out validation images:
 *
 *     --max-error   LENET_MIN_GAP   rejected   wrong among the accepted
 *     0.005                     0     0.00 %     0.38 %
 *     0.002                 21663     0.78 %     0.18 %
 *     0.001                 43250     1.84 %     0.08 %
 *
 * To use one of them without another export, compare the gap of a reading with it yourself.
 */
#define LENET_MIN_GAP 0

/* Scratch memory of one inference; it holds nothing between two images. */
typedef struct {
    uint8_t pool2[400]; /* whole: [row][column][channel] */
    /* Rows and units are never needed at once. */
    union {
        struct {
            uint8_t image[6][32]; /* the last 6 rows: 28 values, zeros around */
            uint8_t pool1[6][84]; /* the last 6 rows: 14 pixels of 6 channels */
        } rows;
        struct {
            uint8_t fc1[120];
            uint8_t fc2[84];
        } units;
    } shared;
    uint16_t row;    /* image rows so far */
    uint16_t left;   /* rows to come */
    uint32_t ink;    /* the sum of all pixels so far */
    uint32_t inside; /* and of those that are not in the border */
    uint16_t dark;   /* bit 8: a pixel was dark enough */
} lenet_workspace;

/* Whether a reading can be trusted, and if not, why. Where several are true, it is the first of
 * MISCOUNTED, NO_INK, OUTSIDE, NO_CLASS, UNSURE. */
typedef enum {
    LENET_ACCEPTED = 0,   /* nothing is known against it */
    LENET_UNSURE = 1,     /* the score gap is less than LENET_MIN_GAP */
    LENET_MISCOUNTED = 2, /* not the rows of one image, each once, behind lenet_begin */
    LENET_NO_CLASS = 3,   /* an image of no class; this network cannot tell */
    LENET_NO_INK = 4,     /* less ink than an image of a class has: empty, or nearly */
    LENET_OUTSIDE = 5     /* other ink than they have: too much, in the border, or nowhere dark */
} lenet_verdict;

/* What was read, and how sure it is. */
typedef struct {
    int digit;             /* 0 to 9 */
    int32_t gap;           /* the largest logit minus the second largest, at least 0 */
    int accepted;          /* 1 if verdict is LENET_ACCEPTED, otherwise 0: have a person look */
    lenet_verdict verdict; /* why it is accepted or not */
} lenet_reading;

typedef enum {
    LENET_SELF_TEST_PASSED = 0,
    LENET_SELF_TEST_CONSTANTS = 1, /* the CRC-32C of the constants in flash is wrong */
    LENET_SELF_TEST_ANSWERS = 2,   /* they are right, but known images are read wrongly */
    LENET_SELF_TEST_RUNNING = 3    /* nothing is wrong so far; more steps are to come */
} lenet_self_test_result;

/* How far a self-test in steps is. */
typedef struct {
    uint32_t crc;   /* of what was read so far */
    int32_t place;  /* the next byte of the constants */
    uint32_t left;  /* bytes that a step still reads */
    uint16_t image; /* 0: the constants */
    uint16_t row;   /* how many of its rows the workspace has */
} lenet_self_test_state;

/* Classifies one image. Returns the class of the largest logit, 0 to 9; of equals, the smallest. */
int lenet_predict(lenet_workspace *ws, const uint8_t image[28 * 28]);

/* Classifies one image, and says whether the reading can be trusted. SDCC returns no structs: there
 * lenet_read and lenet_decide take a pointer to the reading as their last argument. */
#ifdef __SDCC
void lenet_read(lenet_workspace *ws, const uint8_t image[28 * 28], lenet_reading *reading);
#else
lenet_reading lenet_read(lenet_workspace *ws, const uint8_t image[28 * 28]);
#endif

/* The scores of one image: one logit for each class, the larger the likelier. Returns what
 * lenet_finish does: LENET_ACCEPTED, LENET_NO_INK or LENET_OUTSIDE, unless the memory of the
 * workspace changed meanwhile. */
lenet_verdict lenet_logits(lenet_workspace *ws, const uint8_t image[28 * 28], int32_t logits[10]);

/* The same, row by row, so that the image need not be in RAM: begin, 28 rows from the top, finish.
 *
 * Rows beyond the last are ignored; rows not given are background. lenet_begin comes first, and
 * again before the next image; without it the logits mean nothing, though nothing outside the
 * workspace is written. lenet_finish tells by LENET_MISCOUNTED what was not exactly 28 rows since
 * lenet_begin, and otherwise returns LENET_NO_INK, LENET_OUTSIDE or LENET_ACCEPTED. Rows take
 * unequal time: none makes more than 64 800 of the multiply-adds, lenet_finish 58 920, and those of
 * rows not given.
 */
void lenet_begin(lenet_workspace *ws);
void lenet_row(lenet_workspace *ws, const uint8_t row[28]);
lenet_verdict lenet_finish(lenet_workspace *ws, int32_t logits[10]);

/* The reading that logits stand for, with what lenet_finish or lenet_logits returned beside them:
 * what lenet_read returns for the image that they come from. Of other logits any are taken; a gap
 * beyond INT32_MAX is that. */
#ifdef __SDCC
void lenet_decide(const int32_t logits[10], lenet_verdict so_far, lenet_reading *reading);
#else
lenet_reading lenet_decide(const int32_t logits[10], lenet_verdict so_far);
#endif

/* Checks the constants in flash by their CRC-32C, then what is read in 4 made-up images, the last
 * of which lacks its last row: logits, verdict, digit, gap, and whether the gap suffices.
 *
 * Takes about as long as 4 predictions and a CRC of LENET_CONSTANT_BYTES, bit by bit.
 */
lenet_self_test_result lenet_self_test(lenet_workspace *ws);

/* The same in LENET_SELF_TEST_STEPS steps, beside other work: begin once, then a step whenever
 * there is time.
 *
 * A step reads at most 256 bytes of the constants, or makes at most 123 720 multiply-adds. It
 * returns LENET_SELF_TEST_RUNNING; the last one LENET_SELF_TEST_PASSED, and the next step begins
 * anew. A failure is returned at once; after it lenet_self_test_begin comes before another step.
 *
 * Between two steps the workspace may read an image, from lenet_begin to lenet_finish. The next
 * step finds it used, and begins its own image again: at most 29 steps more. Where fewer steps than
 * that come between any two readings the test never ends, and needs a workspace of its own: count
 * them. A test keeps to one workspace, and a workspace to one test at a time. A step between
 * lenet_begin and lenet_finish, unless it reads constants, spoils that image: lenet_finish returns
 * LENET_MISCOUNTED.
 */
void lenet_self_test_begin(lenet_self_test_state *test);
lenet_self_test_result lenet_self_test_step(lenet_self_test_state *test, lenet_workspace *ws);

#ifdef __cplusplus
}
#endif

#endif
