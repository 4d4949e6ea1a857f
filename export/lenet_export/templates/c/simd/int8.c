/* What the kernels say of integers in every instruction set, by its words. */

/* acc * gain / 2^shift, rounded down, between 0 and top. The product fits: see the bounds. */
static vector requantize_lanes(vector acc, vector gain, int shift, int top)
{
    vector index = shift_right(multiply(acc, gain), shift);
    return smaller_lanes(larger_lanes(index, broadcast(0)), broadcast(top));
}

/* (sum + half) / n, rounded down: for all sums of n codes that is times factor / 2^shift. */
static vector mean(vector sum, int half, int factor, int shift)
{
    return shift_right_unsigned(multiply(add(sum, broadcast(half)), broadcast(factor)), shift);
}
