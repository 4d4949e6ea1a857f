/* update.c - tables in two slots: which are in force, and how others get into the device.
 * SPDX-License-Identifier: 0BSD
 *
 *     lenet-export --tables blob --release 1 --out release1
 *     cc -O2 -Irelease1 -o update c_runtime/examples/update/update.c release1/lenet.c
 *     ./update slot_a.bin slot_b.bin release1/lenet_tables.bin   # writes it to a slot, if it is whole
 *     ./update slot_a.bin slot_b.bin                             # what a start finds
 *
 * The slots are files here; in a device they are sectors of flash. What comes is written to the one that is
 * not in force, so that the other goes on if the power fails.
 */
#include "lenet.h"

#include <stdio.h>

/* A slot, where it can be read as memory. */
typedef struct {
    uint32_t size; /* of what it holds */
    union {
        uint64_t aligned; /* as LENET_TABLES_ALIGNMENT wants it, but for vectors */
        uint8_t bytes[LENET_TABLES_BYTES];
    } memory;
} slot;

static const char *const texts[] = {
    [LENET_BOUND] = "is bound",
    [LENET_BIND_SHORT] = "is empty or cut short: send all of it",
    [LENET_BIND_MISALIGNED] = "does not lie at a multiple of LENET_TABLES_ALIGNMENT: move the slot",
    [LENET_BIND_BYTE_ORDER] = "has not the byte order of this CPU: export with --tables apart",
    [LENET_BIND_NO_TABLES] = "begins like no tables: send a lenet_tables.bin",
    [LENET_BIND_FORMAT] = "is of another lenet-export: export with that of this program",
    [LENET_BIND_NETWORK] = "is of another network: send one of this program's",
    [LENET_BIND_CPU] = "is for another CPU: export with the --cpu of this program",
    [LENET_BIND_CODE] = "is for other code: export with the options of this program",
    [LENET_BIND_DAMAGED] = "is damaged: send it again",
    [LENET_BIND_OLDER] = "is no newer release: export with a larger --release",
};

static slot slots[2];
static lenet_workspace ws;

static void load(slot *of, const char *path)
{
    FILE *file = fopen(path, "rb");
    of->size =
        file != NULL ? (uint32_t)fread(of->memory.bytes, 1, sizeof of->memory.bytes, file) : 0u;
    if (file != NULL) {
        fclose(file);
    }
}

/* Binds what a slot holds, if it is whole, is newer, and reads the known images rightly. */
static int take(const lenet_tables **tables, const slot *from, const char *name)
{
    const lenet_tables *next = *tables;
    lenet_binding found = lenet_bind(&next, from->memory.bytes, from->size);
    if (found != LENET_BOUND) {
        printf("%s %s\n", name, texts[found]);
        return 0;
    }
    if (lenet_self_test(next, &ws) != LENET_SELF_TEST_PASSED) {
        printf("%s reads known images wrongly: send another one\n", name);
        return 0;
    }
    *tables = next;
    return 1;
}

static int write_to(const slot *to, const char *path)
{
    FILE *file = fopen(path, "wb");
    size_t written = file != NULL ? fwrite(to->memory.bytes, 1, to->size, file) : 0u;
    return file != NULL && fclose(file) == 0 && written == to->size;
}

int main(int count, char **words)
{
    if (count != 3 && count != 4) {
        fputs("usage: update SLOT_A SLOT_B [BLOB]\n", stderr);
        return 2;
    }
    const lenet_tables *tables = NULL;
    int in_force = 0;
    for (int k = 0; k < 2; k++) {
        load(&slots[k], words[1 + k]);
        if (take(&tables, &slots[k], words[1 + k])) {
            in_force = k;
        }
    }
    if (count == 4) {
        int free_slot = tables != NULL ? 1 - in_force : 0;
        load(&slots[free_slot], words[3]);
        if (!write_to(&slots[free_slot], words[1 + free_slot])) {
            printf("%s cannot be written: give a path that can\n", words[1 + free_slot]);
            return 1;
        }
        load(&slots[free_slot], words[1 + free_slot]); /* what is there now, not what should be */
        if (take(&tables, &slots[free_slot], words[3])) {
            in_force = free_slot;
        } else {
            slots[free_slot].size = 0; /* erased: a start might find it before the other one */
            (void)write_to(&slots[free_slot], words[1 + free_slot]);
        }
    }
    if (tables == NULL) {
        puts("nothing is in force: send tables");
        return 1;
    }
    lenet_description description;
    lenet_describe(tables, &description);
    printf("release %lu is in force, in %s\n", (unsigned long)description.release,
           words[1 + in_force]);
    return 0;
}
