/* uno.ino - reads digits on an Arduino Uno, row by row as a scanner gives them.
 * SPDX-License-Identifier: 0BSD
 *
 * Put lenet.c and lenet.h beside this file:
 *
 *     lenet-export --cpu atmega328p --model mnist-uno --out uno
 *
 * or a model of your own whose weights have few bits, for those of 8 do not fit. A ">" asks for
 * each row of pixels, 28 bytes; after the last one comes the digit, on a line of its own.
 */
#include "lenet.h"

static lenet_workspace ws;

void setup()
{
    Serial.begin(115200);
    Serial.setTimeout(0xFFFFFFFF);
    if (lenet_self_test(&ws) != LENET_SELF_TEST_PASSED) {
        Serial.println("self-test failed");
    }
}

void loop()
{
    uint8_t row[LENET_COLUMNS];
    int32_t logits[LENET_LOGITS];
    lenet_begin(&ws);
    for (int y = 0; y < LENET_ROWS; y++) {
        Serial.write('>');
        Serial.readBytes(row, sizeof row);
        lenet_row(&ws, row);
    }
    lenet_verdict rows = lenet_finish(&ws, logits);
    Serial.println(lenet_decide(logits, rows).digit);
}
