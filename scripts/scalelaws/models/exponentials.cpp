// Exponentials of bfloat16 logits, in place, and the float32 sums of their rows.
//
// 2^x is 2^(whole part) by the exponent's bits, times a polynomial of the rest: 3e-6 of the exponential at most, a
// thousandth of what rounding to bfloat16 costs. Beyond 2^±126, which no sum in range has, the whole part stops.

#include <cstdint>
#include <cstring>

static const float LOG2_E = 1.4426950408889634f;
// Adding it leaves a number's whole part in the lowest bits.
static const float SHIFT = 12582912.0f;
static const int32_t SHIFT_BITS = 0x4b400000;

static inline float widened(uint16_t half) {
    uint32_t bits = (uint32_t)half << 16;
    float number;
    memcpy(&number, &bits, 4);
    return number;
}

static inline uint16_t rounded(float number) {
    uint32_t bits;
    memcpy(&bits, &number, 4);
    return (uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

static inline float power_of_two(float power) {
    float shifted = power + SHIFT;
    float rest = power - (shifted - SHIFT);
    int32_t whole;
    memcpy(&whole, &shifted, 4);
    whole = whole < SHIFT_BITS - 126 ? SHIFT_BITS - 126 : whole;
    whole = whole > SHIFT_BITS + 126 ? SHIFT_BITS + 126 : whole;
    int32_t bits = (whole - SHIFT_BITS + 127) << 23;
    float scale;
    memcpy(&scale, &bits, 4);
    float factor = 0.05590643f + rest * 0.009582853f;
    factor = 0.69312418f + rest * (0.24024099f + rest * factor);
    return scale * (1.0f + rest * factor);
}

extern "C" void exponentials(uint16_t *logits, float *sums, int64_t rows, int64_t columns, int64_t stride) {
    for (int64_t row = 0; row < rows; row++) {
        uint16_t *part = logits + row * stride;
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t column = 0; column < columns; column++) {
            float exponential = power_of_two(widened(part[column]) * LOG2_E);
            sum += exponential;
            part[column] = rounded(exponential);
        }
        sums[row] += sum;
    }
}
