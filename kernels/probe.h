/* Measures what the machine can do, as the limit that benchmarks and `weir doctor` compare with. */
#ifndef WEIR_PROBE_H
#define WEIR_PROBE_H
/* Bytes per second of a plain read loop over 64 MB per thread. */
double weir_probe_bandwidth(int threads, int milliseconds);
/* Floating-point operations per second of independent vector multiply-adds in registers (an fma counts as two). */
double weir_probe_peak(int threads, int milliseconds);
#endif
