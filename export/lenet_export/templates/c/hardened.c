/* A table as it is in flash. A compiler knows its numbers, and would put some of them into the code, where no
 * copy tells of damage: this hides from it which table it is. */
static inline const int32_t *as_it_is_s32(const int32_t *table)
{
#if defined(__GNUC__)
    __asm__("" : "+r"(table));
    return table;
#else
    const int32_t *volatile place = table;
    return place;
#endif
}
