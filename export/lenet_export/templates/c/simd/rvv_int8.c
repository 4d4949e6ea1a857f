/* The words of RISC-V's vectors for integers: codes are bytes, multiplied one at a time by VWMACC. */

/* 16 sums, or codes: one in each lane. */
typedef vint32m4_t vector;

/* A weight in each lane. */
typedef vint16m2_t weight_vector;

static vector load(const int32_t *from)
{
    return rvv(vle32_v_i32m4)(from, 16);
}

static weight_vector load_weights(const int16_t *from)
{
    return rvv(vle16_v_i16m2)(from, 16);
}

static vector broadcast(int32_t number)
{
    return rvv(vmv_v_x_i32m4)(number, 16);
}

/* A code, the same in all lanes, and a weight in each lane. */
static vector multiply_add(vector acc, const uint8_t *in, weight_vector weight)
{
    return rvv(vwmacc_vx_i32m4)(acc, *in, weight, 16);
}

static vector add(vector a, vector b)
{
    return rvv(vadd_vv_i32m4)(a, b, 16);
}

static vector multiply(vector a, vector b)
{
    return rvv(vmul_vv_i32m4)(a, b, 16);
}

static vector larger_lanes(vector a, vector b)
{
    return rvv(vmax_vv_i32m4)(a, b, 16);
}

static vector smaller_lanes(vector a, vector b)
{
    return rvv(vmin_vv_i32m4)(a, b, 16);
}

/* Rounded down. */
static vector shift_right(vector a, int places)
{
    return rvv(vsra_vx_i32m4)(a, (size_t)places, 16);
}

static vector shift_right_unsigned(vector a, int places)
{
    vuint32m4_t bits = rvv(vreinterpret_v_i32m4_u32m4)(a);
    return rvv(vreinterpret_v_u32m4_i32m4)(rvv(vsrl_vx_u32m4)(bits, (size_t)places, 16));
}

/* What is `lanes` lanes further on, in each lane. */
static vector lanes_from(vector all, int lanes)
{
    vuint32m4_t numbers = rvv(vadd_vx_u32m4)(rvv(vid_v_u32m4)(16), (uint32_t)lanes, 16);
    return rvv(vrgather_vv_i32m4)(all, numbers, 16);
}

/* The first `count` codes. */
static void store_codes(uint8_t *to, vector codes, int count)
{
    vuint32m4_t bits = rvv(vreinterpret_v_i32m4_u32m4)(codes);
    vuint16m2_t halves = rvv(vncvt_x_x_w_u16m2)(bits, 16);
    rvv(vse8_v_u8m1)(to, rvv(vncvt_x_x_w_u8m1)(halves, 16), lanes_of(count));
}

/* The first `count` sums. */
static void store_logits(int32_t *to, vector acc, int count)
{
    rvv(vse32_v_i32m4)(to, acc, lanes_of(count));
}

/* Four codes of each lane, side by side in its bytes. */
static vector side_by_side(vector a, vector b, vector c, vector d)
{
    vector ab = add(a, rvv(vsll_vx_i32m4)(b, 8, 16)), cd = add(c, rvv(vsll_vx_i32m4)(d, 8, 16));
    return add(ab, rvv(vsll_vx_i32m4)(cd, 16, 16));
}

/* The sum of four codes in each lane, each times its byte of `weights`, 0 or 1. */
static vector plus_codes(vector sum, vector codes, int weights)
{
    for (int k = 0; k < 32; k += 8) {
        if (weights >> k & 1) {
            sum = add(sum, rvv(vand_vx_i32m4)(shift_right_unsigned(codes, k), 255, 16));
        }
    }
    return sum;
}

/* A code of the table in each lane. */
static vector entries(const uint8_t *table, vector index)
{
    vuint32m4_t places = rvv(vreinterpret_v_i32m4_u32m4)(index);
    vuint8m1_t codes = rvv(vluxei32_v_u8m1)(table, places, 16);
    return rvv(vreinterpret_v_u32m4_i32m4)(rvv(vzext_vf4_u32m4)(codes, 16));
}

/* The codes of four indices of each lane, side by side in its bytes. */
static vector look_up(const uint8_t *table, vector a, vector b, vector c, vector d)
{
    return side_by_side(entries(table, a), entries(table, b), entries(table, c), entries(table, d));
}
