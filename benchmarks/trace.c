/* trace.c - a QEMU plugin: the address of each instruction of one call of a function, in order.
 *
 *     qemu-system-arm ... -plugin ./trace.so,start=0x1234,out=addresses
 *
 * start   the first instruction of the function.
 * out     the file to write: addresses as u32 of this machine, from the first instruction of its
 *         first call to the return, which is the last.
 *
 * The callback runs in front of each instruction, so nothing is estimated and nothing is sampled.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is used of QEMU's qemu-plugin.h, which distributions do not package. */
struct qemu_info_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum callback_flags { READS_NO_REGISTERS };
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id,
                                           void (*callback)(uint64_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
                                            void (*callback)(unsigned, void *),
                                            enum callback_flags flags, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t place);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);

extern int qemu_plugin_version;
int qemu_plugin_install(uint64_t id, const struct qemu_info_t *info, int argc, char **argv);

int qemu_plugin_version = PLUGIN_VERSION;

static struct {
    uint64_t start;
    uint64_t after;     /* the address behind the last instruction seen outside */
    uint64_t return_to; /* where the call goes on */
    enum { BEFORE, INSIDE, DONE } state;
    FILE *out;
} trace;

/* An instruction's address and size in one pointer: there is no storage to free. */
static void *packed(uint64_t address, size_t size)
{
    return (void *)(uintptr_t)(address << 8 | size);
}

static void executes(unsigned cpu, void *data)
{
    (void)cpu;
    uint64_t address = (uintptr_t)data >> 8;
    if (trace.state == BEFORE && address == trace.start) {
        trace.state = INSIDE;
        trace.return_to = trace.after;
    }
    if (trace.state == INSIDE && address == trace.return_to) {
        trace.state = DONE;
        fclose(trace.out);
    }
    if (trace.state == INSIDE) {
        uint32_t word = (uint32_t)address;
        fwrite(&word, sizeof word, 1, trace.out);
    }
    trace.after = address + ((uintptr_t)data & 255);
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    for (size_t k = 0; k < qemu_plugin_tb_n_insns(tb); k++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, k);
        void *data = packed(qemu_plugin_insn_vaddr(insn), qemu_plugin_insn_size(insn));
        qemu_plugin_register_vcpu_insn_exec_cb(insn, executes, READS_NO_REGISTERS, data);
    }
}

int qemu_plugin_install(uint64_t id, const struct qemu_info_t *info, int argc, char **argv)
{
    (void)info;
    for (int k = 0; k < argc; k++) {
        if (strncmp(argv[k], "start=", 6) == 0) {
            trace.start = strtoull(argv[k] + 6, NULL, 0);
        } else if (strncmp(argv[k], "out=", 4) == 0) {
            trace.out = fopen(argv[k] + 4, "wb");
        }
    }
    if (trace.start == 0 || trace.out == NULL) {
        fputs("trace: give start= and out=, a file that can be written\n", stderr);
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
