/* The words of RISC-V's vectors: registers in fours hold 16 lanes of 32 bits, where one has 128 bits or
 * more. */

/* Since version 0.11 names of intrinsics begin with __riscv_; clang 14 knows those of before. */
#if !defined __riscv_v_intrinsic || __riscv_v_intrinsic < 11000
#define rvv(name) name
#else
#define rvv(name) __riscv_##name
#endif

/* How many of the first `count` lanes there are. */
static size_t lanes_of(int count)
{
    return count < 0 ? 0u : count < 16 ? (size_t)count : 16u;
}
