package xdp

import (
	"slices"
	"testing"

	"github.com/tickwire/tickwire/tick"
)

// TestMarkets holds the table against the sheet's sections 12.1 and 12.2 and DBN's publishers.
func TestMarkets(t *testing.T) {
	for _, tc := range []struct {
		name, mic               string
		id, publisher           uint16
		integrated, bbo, trades uint8
		records                 [2]uint16 // of BBO and Trades
	}{
		{"nyse", "XNYS", 1, 9, 11, 3, 4, [2]uint16{44, 45}},
		{"american", "XASE", 9, 11, 59, 52, 53, [2]uint16{11, 11}},
		{"national", "XCIS", 10, 10, 109, 102, 103, [2]uint16{10, 10}},
		{"arca", "ARCX", 3, 43, 157, 152, 153, [2]uint16{43, 43}},
		{"texas", "XCHI", 11, 12, 209, 202, 203, [2]uint16{12, 12}},
	} {
		m, err := ParseMarket(tc.name)
		if err != nil || m != MarketOf(tc.id) || m.MIC != tc.mic || m.Dataset != tc.mic+".PILLAR" {
			t.Errorf("%s: %+v, %v", tc.name, m, err)
			continue
		}
		if p, dataset := m.Records(Integrated); p != tc.publisher || dataset != m.Dataset {
			t.Errorf("%s: publisher %d, %s", tc.name, p, dataset)
		}
		for i, product := range []Product{BBO, Trades} {
			if p, _ := m.Records(product); p != tc.records[i] {
				t.Errorf("%s %s: publisher %d, want %d", tc.name, product, p, tc.records[i])
			}
		}
		for product, id := range map[Product]uint8{Integrated: tc.integrated, BBO: tc.bbo, Trades: tc.trades} {
			if m.ProductID(product) != id || ProductOf(id) != product || MarketOfProduct(id) != m {
				t.Errorf("%s %s: product %d is %s", tc.name, product, m.ProductID(product), ProductOf(id))
			}
		}
	}
	for _, id := range []uint8{0, 1, 255} {
		if MarketOfProduct(id) != nil || ProductOf(id) != OtherProduct {
			t.Errorf("product %d is %s", id, ProductOf(id))
		}
	}
	if m, err := ParseMarket(""); err != nil || m.Name != "nyse" || !slices.Equal(MarketNames()[:1], []string{"nyse"}) {
		t.Errorf("the default is %+v, %v", m, err)
	}
	if _, err := ParseMarket("nasdaq"); err == nil {
		t.Error("Nasdaq is of the group")
	}
	if n := Markets[0].ProductID(OtherProduct); n != 0 || Markets[0].ProductID(AnyProduct) != 0 {
		t.Errorf("a product that is none has number %d", n)
	}
}

// of is a mapping of another market.
func of(market uint16, m []byte) []byte {
	m = slices.Clone(m)
	le.PutUint16(m[20:], market)
	return m
}

func TestMarketIn(t *testing.T) {
	five := mapped(5, "FIVE", 7, 4)
	reset := func(product byte) []byte { return packet(DeliveryReset, 1, msg(1, 1000, 123, product, byte(1))) }
	for _, tc := range []struct {
		name string
		p    []byte
		want uint16
	}{
		{"a mapping", packet(DeliveryOriginal, 1, of(9, five)), 9},
		{"behind others", packet(DeliveryOriginal, 1, msg(32, 1, 1, 4, 1), of(11, five)), 11},
		{"trades that others report, then one of our own", packet(DeliveryOriginal, 1, of(255, five), of(3, five)), 3},
		{"trades that others report", packet(DeliveryOriginal, 1, of(255, five)), 0},
		{"a reset", reset(202), 11},
		{"a reset of an unknown product", reset(1), 0},
		{"neither", packet(DeliveryOriginal, 1, msg(102, 1, 5, 1, uint64(8), byte(0))), 0},
		{"a mapping cut off", packet(DeliveryOriginal, 1, five[:20]), 0},
		{"a heartbeat", packet(DeliveryHeartbeat, 1), 0},
		{"nothing", nil, 0},
	} {
		if got := MarketIn(tc.p); got != tc.want {
			t.Errorf("%s: %d, want %d", tc.name, got, tc.want)
		}
	}
}

// Mappings of another market than the one configured are counted, and decoded: whoever configured it is told.
func TestOtherMarket(t *testing.T) {
	d, b := newDecoder(t, Options{Market: 1}), newBatch(t)
	d.Start(0)
	d.Append(slices.Concat(mapped(5, "FIVE", 7, 4), of(255, mapped(6, "SIX", 7, 4))), 1, 2, b)
	if d.c.OtherMarket != 0 || d.OtherMarket() != 0 {
		t.Errorf("%d of another market, %d", d.c.OtherMarket, d.OtherMarket())
	}
	d.Append(slices.Concat(of(3, mapped(7, "SEVEN", 7, 4)), clock(7, 1000), deleted(1, 7, 1)), 3, 3, b)
	if d.c.OtherMarket != 1 || d.OtherMarket() != 3 || b.Kind[b.N-1] != tick.KindDelete || d.Refused() != 0 {
		t.Errorf("%d of another market, %d; %q", d.c.OtherMarket, d.OtherMarket(), showAll(b))
	}
	free := newDecoder(t, Options{})
	free.Start(0)
	free.Append(of(3, mapped(7, "SEVEN", 7, 4)), 1, 1, b)
	if free.c.OtherMarket != 0 {
		t.Error("no market is configured, and one is another's")
	}
}
