package protocol

import (
	"errors"

	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/feed/pricebook"
)

// Kept are the books of one lane.
type Kept struct {
	Orders *book.Books
	Prices *pricebook.Books // nil: best prices come from the orders
	Levels bool             // the venue has no orders: its levels stand for them
}

// Keep makes the books that a product of the venue needs. prefault is book.Options.Prefault.
func (p *Protocol) Keep(product string, prefault int) (k Kept, err error) {
	o := p.BookOptions()
	o.Prefault = min(prefault, 1<<17)
	if !p.Books.Orders || p.quotes(product) {
		k.Levels = true
		o.Prefault, o.MaxOrders = 0, 1<<10 // there will be none
	}
	if k.Orders, err = book.New(o); err != nil {
		return k, err
	}
	if p.Books.Prices || p.quotes(product) {
		if k.Prices, err = pricebook.New(pricebook.Options{Depth: p.Books.Depth}); err != nil {
			return Kept{}, errors.Join(err, k.Orders.Close())
		}
	}
	return k, nil
}

// BookOptions are what books of the venue's orders need, whoever keeps them.
func (p *Protocol) BookOptions() book.Options {
	o := book.Options{Sparse: p.Books.Sparse, ZeroPrice: p.Books.ZeroPrice}
	if o.Sparse {
		o.MaxInstruments = 1 << 18
	}
	return o
}

// quotes says that a product has best prices and no orders.
func (p *Protocol) quotes(product string) bool {
	return p.Books.Quotes && product != "" && product != "integrated"
}

// Close frees them. Closing again does nothing.
func (k *Kept) Close() error {
	orders := k.Orders
	*k = Kept{}
	if orders == nil {
		return nil
	}
	return orders.Close()
}
