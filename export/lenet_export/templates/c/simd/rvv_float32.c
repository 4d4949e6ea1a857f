/* The words of RISC-V's vectors for floats. */

/* 16 sums, weights, or values: one in each lane. */
typedef vfloat32m4_t vector;

static vector load(const float *from)
{
    return rvv(vle32_v_f32m4)(from, 16);
}

/* The first `count` lanes. */
static void store(float *to, vector values, int count)
{
    rvv(vse32_v_f32m4)(to, values, lanes_of(count));
}

static vector broadcast(float number)
{
    return rvv(vfmv_v_f_f32m4)(number, 16);
}

/* One value, the same in all lanes, times a vector. */
static vector multiply_add(vector acc, const float *one, vector all)
{
    return rvv(vfmacc_vf_f32m4)(acc, *one, all, 16);
}

/* a * b + c, rounded once. */
static vector fused(vector a, vector b, vector c)
{
    return rvv(vfmacc_vv_f32m4)(c, a, b, 16);
}

static vector add(vector a, vector b)
{
    return rvv(vfadd_vv_f32m4)(a, b, 16);
}

static vector subtract(vector a, vector b)
{
    return rvv(vfsub_vv_f32m4)(a, b, 16);
}

static vector multiply(vector a, vector b)
{
    return rvv(vfmul_vv_f32m4)(a, b, 16);
}

static vector divide(vector a, vector b)
{
    return rvv(vfdiv_vv_f32m4)(a, b, 16);
}

static vector larger_lanes(vector a, vector b)
{
    return rvv(vfmax_vv_f32m4)(a, b, 16);
}

static vector smaller_lanes(vector a, vector b)
{
    return rvv(vfmin_vv_f32m4)(a, b, 16);
}

/* To the next integer. */
static vector rounded(vector a)
{
    return rvv(vfcvt_f_x_v_f32m4)(rvv(vfcvt_x_f_v_i32m4)(a, 16), 16);
}

/* a * 2^n, n integers: added to the exponents. */
static vector times_power_of_2(vector a, vector n)
{
    vint32m4_t exponents = rvv(vsll_vx_i32m4)(rvv(vfcvt_x_f_v_i32m4)(n, 16), 23, 16);
    vint32m4_t bits = rvv(vreinterpret_v_f32m4_i32m4)(a);
    return rvv(vreinterpret_v_i32m4_f32m4)(rvv(vadd_vv_i32m4)(bits, exponents, 16));
}

/* What is `lanes` lanes further on, in each lane. */
static vector lanes_from(vector all, int lanes)
{
    vuint32m4_t numbers = rvv(vadd_vx_u32m4)(rvv(vid_v_u32m4)(16), (uint32_t)lanes, 16);
    return rvv(vrgather_vv_f32m4)(all, numbers, 16);
}
