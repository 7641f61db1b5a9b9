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

// Of is what a product of the venue needs of books.
func (p *Protocol) Of(product string) Books {
	if p.BooksOf != nil {
		return p.BooksOf(product)
	}
	return p.Books
}

// Keep makes the books that a product of the venue needs. prefault is book.Options.Prefault.
func (p *Protocol) Keep(product string, prefault int) (k Kept, err error) {
	b, o := p.Of(product), p.BookOptions(product)
	if k.Levels = !b.Orders; !k.Levels {
		o.Prefault = prefault
	}
	if k.Orders, err = book.New(o); err != nil {
		return k, err
	}
	if b.Prices {
		if k.Prices, err = pricebook.New(pricebook.Options{Depth: b.Depth}); err != nil {
			return Kept{}, errors.Join(err, k.Orders.Close())
		}
	}
	return k, nil
}

// BookOptions are what books of a product's orders need, whoever keeps them.
func (p *Protocol) BookOptions(product string) book.Options {
	b := p.Of(product)
	o := book.Options{Sparse: b.Sparse, ZeroPrice: b.ZeroPrice}
	if o.Sparse {
		o.MaxInstruments = 1 << 18
	}
	if !b.Orders {
		o.MaxOrders = 1 << 10 // there will be none
	}
	return o
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
