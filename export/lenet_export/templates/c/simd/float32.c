/* What the kernels say of floats in every instruction set, by its words. */

/* One value, the same in all lanes, times a vector. */
static vector multiply_add(vector acc, const float *one, vector all)
{
    return fused(broadcast(*one), all, acc);
}

/* 1 / (1 + 2^y), y = -z / ln 2. With n, the integer next to y, 2^y is 2^(y - n), a polynomial of degree
 * 4 that is right to 3e-6 there, times 2^n. Beyond |z| = 16 the result is 0 or 1 to 2e-7. */
static vector sigmoid_lanes(vector z)
{
    vector limited = smaller_lanes(larger_lanes(z, broadcast(-16.0f)), broadcast(16.0f));
    vector y = multiply(limited, broadcast(-1.44269504f));
    vector n = rounded(y);
    vector f = subtract(y, n);
    vector e = fused(broadcast(0.0095701f), f, broadcast(0.05591786f));
    e = fused(e, f, broadcast(0.24024745f));
    e = fused(e, f, broadcast(0.69312181f));
    e = fused(e, f, broadcast(0.99999926f));
    return divide(broadcast(1.0f), add(broadcast(1.0f), times_power_of_2(e, n)));
}

static vector tanh_lanes(vector z)
{
    return fused(broadcast(2.0f), sigmoid_lanes(multiply(broadcast(2.0f), z)), broadcast(-1.0f));
}

/* LeNet-5's of 1998. */
static vector scaled_tanh_lanes(vector z)
{
    return multiply(broadcast(1.7159f), tanh_lanes(multiply(broadcast(2.0f / 3.0f), z)));
}

/* z * (1 + tanh(s)) / 2 = z * sigmoid(2 * s), s = sqrt(2 / pi) * (z + 0.044715 * z^3). At -8 and
 * below it is 0 to 1e-6. */
static vector gelu_lanes(vector z)
{
    vector limited = larger_lanes(z, broadcast(-8.0f));
    vector cubic = multiply(broadcast(0.044715f), multiply(limited, limited));
    vector twice = multiply(broadcast(1.595769122f), limited);
    return multiply(limited, sigmoid_lanes(fused(twice, cubic, twice)));
}

static vector relu_lanes(vector z)
{
    return larger_lanes(z, broadcast(0.0f));
}

static vector relu6_lanes(vector z)
{
    return smaller_lanes(relu_lanes(z), broadcast(6.0f));
}

static vector leaky_relu_lanes(vector z, float slope)
{
    return larger_lanes(z, multiply(broadcast(slope), z));
}

static vector hard_sigmoid_lanes(vector z)
{
    return multiply(relu6_lanes(add(z, broadcast(3.0f))), broadcast(1.0f / 6.0f));
}

static vector hard_swish_lanes(vector z)
{
    return multiply(z, hard_sigmoid_lanes(z));
}

/* z * sigmoid(z). At -16 and below it is 0 to 2e-6. */
static vector silu_lanes(vector z)
{
    vector limited = larger_lanes(z, broadcast(-16.0f));
    return multiply(limited, sigmoid_lanes(limited));
}

/* exp(z) - 1 below 0: with s = sigmoid(z), exp(z) = s / (1 - s). */
static vector elu_lanes(vector z)
{
    vector one = broadcast(1.0f), s = sigmoid_lanes(smaller_lanes(z, broadcast(0.0f)));
    vector below = divide(subtract(add(s, s), one), subtract(one, s));
    return add(relu_lanes(z), below);
}
