/* SPDX-License-Identifier: MIT */
/*
 * Programs of the virtual GPU, as a user of libsvmirror names them. The numbers and
 * the graph node are the device's own: src/check_ids.cpp holds them together.
 */
#ifndef SVMIRROR_KERNELS_H
#define SVMIRROR_KERNELS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * enum svmirror_kernel - programs of the virtual GPU and their arguments
 * @SVMIRROR_NOP: nothing
 * @SVMIRROR_FILL: dst, bytes, value (low 8 bits)
 * @SVMIRROR_COPY: dst, src, bytes; the two may not overlap
 * @SVMIRROR_HISTOGRAM: src, bytes, u64 bins[256]; adds to the bins
 * @SVMIRROR_SUM: u64 src[], n, u64 \*result; modulo 2^64
 * @SVMIRROR_SAXPY: float x[], float y[], n, bits of float a: y = a * x + y, each step rounded to float
 * @SVMIRROR_LIST_WALK: head, offset of next, offset of the u64 value, addend, limit, u64 result[2];
 *	adds the addend to each value; result = { nodes, sum of the new values }
 * @SVMIRROR_BFS: root &struct svmirror_bfs_node, u64 \*visited, scratch u64[], its capacity
 * @SVMIRROR_CAS_ADD: u64 \*counter, times: adds 1 by compare-and-swap, times over
 * @SVMIRROR_TOUCH: start, bytes, stride, write: reads (write: rewrites what it read) one byte per stride
 */
enum svmirror_kernel {
	SVMIRROR_NOP = 0,
	SVMIRROR_FILL = 1,
	SVMIRROR_COPY = 2,
	SVMIRROR_HISTOGRAM = 3,
	SVMIRROR_SUM = 4,
	SVMIRROR_SAXPY = 5,
	SVMIRROR_LIST_WALK = 6,
	SVMIRROR_BFS = 7,
	SVMIRROR_CAS_ADD = 8,
	SVMIRROR_TOUCH = 9,
};

#define SVMIRROR_UNVISITED UINT32_MAX

/**
 * struct svmirror_bfs_node - a node of a graph made of pointers
 * @edges: address of u64 neighbour[degree], which are addresses of nodes
 * @degree: number of neighbours
 * @level: SVMIRROR_UNVISITED before the search; then the distance from the root
 */
struct svmirror_bfs_node {
	uint64_t edges;
	uint32_t degree;
	uint32_t level;
};

#ifdef __cplusplus
}
#endif

#endif
