//go:build ignore

/* The receive program: steers the configured multicast flows to AF_XDP sockets and passes everything else to the kernel.
 *
 *   frame ─► Ethernet ─► up to two tags ─► IPv4, no options ─► 224.0.0.0/4 ─► UDP, whole ─► flows? ─► [stamp] ─► xsks[queue]
 *                 │              │                │                 │              │           │          │           │
 *                 └──────────────┴────────────────┴── not ours: XDP_PASS, counted ─┴───────────┴──────────┴───────────┘
 *
 * SSH, ARP, IGMP (which carries IP options), PTP, ping and every group that nobody asked for take the kernel's path, as do
 * our own flows on a queue that has no socket: a receiver that is gone costs nothing but a copy.
 *
 * Three programs share the decision and differ in what they put in front of the packet:
 *
 *   rx_hw      device-bound; struct meta with the NIC's own time of arrival and the stripped VLAN tag
 *   rx_xdp     struct meta with the kernel's time, when the driver handed the packet over
 *   rx_plain   nothing, for drivers that have no room there
 */
#include "kernel.h"

/* struct slot is a flow: what user space said of it, its number there, the queue it is steered to, and FLOW_DROP for what a switch
 * floods and nobody wants; and the key: group and port in network order, the outer VLAN id, 0 without a tag.
 *
 *   key   bit 0       32      48      64
 *         | group     | port  | vid   |        0: the slot is free
 *
 * Flows are looked for once a frame, so they lie in a table that is made for it: buckets of a cache line, found by multiplying.
 * One that has no room in its bucket is in the neighbour. User space fills it in (flows.go). */
struct slot {
	__u32 id;
	__u16 flags;
	__u16 queue;
	__u64 key;
};

#define SLOTS 4
#define BUCKET_BITS 12
#define MULTIPLIER 0x9E3779B97F4A7C15ull

struct bucket {
	struct slot slots[SLOTS];
};

#define FLOW_DROP 1
#define ANY_QUEUE 0xFFFF

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1 << BUCKET_BITS);
	__type(key, __u32);
	__type(value, struct bucket);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u32);
} xsks SEC(".maps");

/* Every frame is counted in seen and in exactly one of the others, the stamps apart; a per-CPU entry has one writer. */
struct counters {
	__u64 seen;
	__u64 not_ip;      /* no IPv4, or shorter than its headers */
	__u64 ip_options;
	__u64 not_group;   /* unicast, or link-local control: 224.0.0.0/24 */
	__u64 not_udp;
	__u64 fragment;
	__u64 malformed;   /* lengths that contradict each other */
	__u64 no_flow;     /* a group or port that nobody asked for */
	__u64 dropped;     /* FLOW_DROP */
	__u64 meta_fail;   /* the driver has no room for struct meta */
	__u64 redirected;
	__u64 no_socket;   /* a flow of ours on a queue that has no socket */
	__u64 ts_ok;       /* of the redirected: with the NIC's stamp */
	__u64 ts_none;     /* of the redirected: the driver can, this frame has none */
	__u64 ts_cannot;   /* of the redirected: the driver cannot, or was not asked */
	__u64 wrong_queue; /* a flow of ours on another queue than it should be steered to */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counters);
} counts SEC(".maps");

/* struct meta lies in front of the frame, at data - 32. Little-endian as the host; bpf/meta.go reads it.
 *
 *   0        8        16       20      22     23     24          26   28      32
 *   | hw_ns  | xdp_ns | flow   | tci   | src  | vers | payload   | rxq| 0     | frame …
 */
struct meta {
	__u64 hw_ns;       /* the NIC's clock, 0: no stamp */
	__u64 xdp_ns;      /* CLOCK_TAI when this program ran */
	__u32 flow;
	__u16 tci;         /* of the outer tag, in-line or stripped; 0: none */
	__u8 source;       /* of the better stamp: 2 the NIC, 1 the kernel */
	__u8 version;      /* META_VERSION */
	__u16 payload;     /* offset of the UDP payload from the frame's start */
	__u16 rxq;
	__u32 reserved;
};

#define META_VERSION 1

enum variant { HW, XDP, PLAIN };

/* Set when the program is loaded: whether the NIC's time is asked for. A call that nobody uses the result of costs as much as
 * the search for the flow. */
const volatile __u8 ask_time = 1;

static __always_inline struct slot *find(__u64 key)
{
	__u32 at = key * MULTIPLIER >> (64 - BUCKET_BITS);
#pragma unroll
	for (int turn = 0; turn < 2; turn++) {
		struct bucket *b = bpf_map_lookup_elem(&flows, &at);
		if (!b)
			return 0;
#pragma unroll
		for (int i = 0; i < SLOTS; i++)
			if (b->slots[i].key == key)
				return &b->slots[i];
		at ^= 1;
	}
	return 0;
}

extern int bpf_xdp_metadata_rx_timestamp(const struct xdp_md *ctx, __u64 *timestamp) __ksym __weak;
extern int bpf_xdp_metadata_rx_vlan_tag(const struct xdp_md *ctx, __be16 *proto, __u16 *tci) __ksym __weak;

static __always_inline int is_tag(__be16 proto)
{
	return proto == bpf_ntohs(0x8100) || proto == bpf_ntohs(0x88A8);
}

static __always_inline int steer(struct xdp_md *ctx, enum variant variant)
{
	__u32 zero = 0;
	struct counters *c = bpf_map_lookup_elem(&counts, &zero);
	if (!c)
		return XDP_PASS;
	c->seen++;

	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	if ((void *)(eth + 1) > end) {
		c->not_ip++;
		return XDP_PASS;
	}
	__be16 proto = eth->proto;
	__u16 tci = 0;
	__u32 l3 = sizeof(*eth);
	int tagged = 0;
	/* A tag that the NIC took off is the outer one, whatever is still in the frame. */
	if (variant == HW && bpf_xdp_metadata_rx_vlan_tag) {
		__be16 stripped;
		__u16 host;
		if (bpf_xdp_metadata_rx_vlan_tag(ctx, &stripped, &host) == 0) {
			tci = host;
			tagged = 1;
		}
	}
#pragma unroll
	for (int i = 0; i < 2; i++) {
		if (!is_tag(proto))
			break;
		struct vlanhdr *tag = data + l3;
		if ((void *)(tag + 1) > end) {
			c->not_ip++;
			return XDP_PASS;
		}
		if (!tagged)
			tci = bpf_ntohs(tag->tci);
		tagged = 1;
		proto = tag->proto;
		l3 += sizeof(*tag);
	}
	struct iphdr *ip = data + l3;
	if (proto != bpf_ntohs(0x0800) || (void *)(ip + 1) > end || ip->version_ihl >> 4 != 4) {
		c->not_ip++;
		return XDP_PASS;
	}
	if (ip->version_ihl != 0x45) {
		c->ip_options++;
		return XDP_PASS;
	}
	if ((ip->daddr & bpf_htonl(0xF0000000)) != bpf_htonl(0xE0000000) || (ip->daddr & bpf_htonl(0xFFFFFF00)) == bpf_htonl(0xE0000000)) {
		c->not_group++;
		return XDP_PASS;
	}
	if (ip->protocol != 17) {
		c->not_udp++;
		return XDP_PASS;
	}
	if (ip->frag_off & bpf_ntohs(0x3FFF)) {
		c->fragment++;
		return XDP_PASS;
	}
	struct udphdr *udp = (void *)(ip + 1);
	__u16 total = bpf_ntohs(ip->total);
	if ((void *)(udp + 1) > end || total < sizeof(*ip) + sizeof(*udp) || (long)end - (long)ip < total ||
	    bpf_ntohs(udp->len) < sizeof(*udp) || bpf_ntohs(udp->len) > total - sizeof(*ip)) {
		c->malformed++;
		return XDP_PASS;
	}
	struct slot *flow = find((__u64)ip->daddr | (__u64)udp->dest << 32 | (__u64)(tci & 0x0FFF) << 48);
	if (!flow) {
		c->no_flow++;
		return XDP_PASS;
	}
	if (flow->flags & FLOW_DROP) {
		c->dropped++;
		return XDP_DROP;
	}
	if (flow->queue != ANY_QUEUE && flow->queue != ctx->rx_queue_index) {
		c->wrong_queue++;
		return XDP_PASS;
	}
	__u64 hw = 0;
	__u8 source = 1;
	int stamp = -95; /* EOPNOTSUPP */
	if (variant == HW && ask_time && bpf_xdp_metadata_rx_timestamp) {
		stamp = bpf_xdp_metadata_rx_timestamp(ctx, &hw);
		if (stamp == 0 && hw != 0)
			source = 2;
	}
	if (variant != PLAIN) {
		/* Without room the frame is not redirected: a chunk's memory is used again and again, and what an earlier
		 * packet left there would be taken for this one's. */
		if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(struct meta))) {
			c->meta_fail++;
			return XDP_PASS;
		}
		struct meta *m = (void *)(long)ctx->data_meta;
		if ((void *)(m + 1) > (void *)(long)ctx->data) {
			c->meta_fail++;
			return XDP_PASS;
		}
		m->hw_ns = source == 2 ? hw : 0;
		m->xdp_ns = bpf_ktime_get_tai_ns();
		m->flow = flow->id;
		m->tci = tci;
		m->source = source;
		m->version = META_VERSION;
		m->payload = l3 + sizeof(struct iphdr) + sizeof(struct udphdr);
		m->rxq = ctx->rx_queue_index;
		m->reserved = 0;
	}
	long verdict = bpf_redirect_map(&xsks, ctx->rx_queue_index, XDP_PASS);
	if (verdict != XDP_REDIRECT) {
		c->no_socket++;
		return verdict;
	}
	c->redirected++;
	if (source == 2)
		c->ts_ok++;
	else if (stamp == -95)
		c->ts_cannot++;
	else
		c->ts_none++;
	return verdict;
}

SEC("xdp")
int rx_hw(struct xdp_md *ctx)
{
	return steer(ctx, HW);
}

SEC("xdp")
int rx_xdp(struct xdp_md *ctx)
{
	return steer(ctx, XDP);
}

SEC("xdp")
int rx_plain(struct xdp_md *ctx)
{
	return steer(ctx, PLAIN);
}

char _license[] SEC("license") = "Dual BSD/GPL";
