/* SPDX-License-Identifier: MIT */
/*
 * Programs of the virtual GPU, as a user of libsvm names them. The numbers and
 * the graph node are the device's own: src/check_ids.cpp holds them together.
 */
#ifndef LIBSVM_KERNELS_H
#define LIBSVM_KERNELS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * enum libsvm_kernel - programs of the virtual GPU and their arguments
 * @LIBSVM_NOP: nothing
 * @LIBSVM_FILL: dst, bytes, value (low 8 bits)
 * @LIBSVM_COPY: dst, src, bytes; the two may not overlap
 * @LIBSVM_HISTOGRAM: src, bytes, u64 bins[256]; adds to the bins
 * @LIBSVM_SUM: u64 src[], n, u64 \*result; modulo 2^64
 * @LIBSVM_SAXPY: float x[], float y[], n, bits of float a: y = a * x + y, each step rounded to float
 * @LIBSVM_LIST_WALK: head, offset of next, offset of the u64 value, addend, limit, u64 result[2];
 *	adds the addend to each value; result = { nodes, sum of the new values }
 * @LIBSVM_BFS: root &struct libsvm_bfs_node, u64 \*visited, scratch u64[], its capacity
 * @LIBSVM_CAS_ADD: u64 \*counter, times: adds 1 by compare-and-swap, times over
 * @LIBSVM_TOUCH: start, bytes, stride, write: reads (write: rewrites what it read) one byte per stride
 */
enum libsvm_kernel {
	LIBSVM_NOP = 0,
	LIBSVM_FILL = 1,
	LIBSVM_COPY = 2,
	LIBSVM_HISTOGRAM = 3,
	LIBSVM_SUM = 4,
	LIBSVM_SAXPY = 5,
	LIBSVM_LIST_WALK = 6,
	LIBSVM_BFS = 7,
	LIBSVM_CAS_ADD = 8,
	LIBSVM_TOUCH = 9,
};

#define LIBSVM_UNVISITED UINT32_MAX

/**
 * struct libsvm_bfs_node - a node of a graph made of pointers
 * @edges: address of u64 neighbour[degree], which are addresses of nodes
 * @degree: number of neighbours
 * @level: LIBSVM_UNVISITED before the search; then the distance from the root
 */
struct libsvm_bfs_node {
	uint64_t edges;
	uint32_t degree;
	uint32_t level;
};

#ifdef __cplusplus
}
#endif

#endif
