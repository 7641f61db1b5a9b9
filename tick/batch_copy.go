package tick

// CopyRows makes b's rows those of from. Side tables are left out: rows that have entries there name none of b's. No allocation.
func (b *Batch) CopyRows(from *Batch) {
	n := from.N
	b.Reset()
	b.N = n
	copy(b.Kind[:n], from.Kind[:n])
	copy(b.Sub[:n], from.Sub[:n])
	copy(b.Side[:n], from.Side[:n])
	copy(b.Flags[:n], from.Flags[:n])
	copy(b.Instrument[:n], from.Instrument[:n])
	copy(b.TsEvent[:n], from.TsEvent[:n])
	copy(b.TsRecv[:n], from.TsRecv[:n])
	copy(b.Sequence[:n], from.Sequence[:n])
	copy(b.OrderID[:n], from.OrderID[:n])
	copy(b.Aux[:n], from.Aux[:n])
	copy(b.Price[:n], from.Price[:n])
	copy(b.Size[:n], from.Size[:n])
	copy(b.State[:n], from.State[:n])
	copy(b.Left[:n], from.Left[:n])
	copy(b.OldPrice[:n], from.OldPrice[:n])
	copy(b.OldSize[:n], from.OldSize[:n])
	copy(b.Before[:n], from.Before[:n])
	copy(b.After[:n], from.After[:n])
}

// MoveRow puts row from in the place of row to, with what the parser fills in.
func (b *Batch) MoveRow(to, from int) {
	to, from = to&RowMask, from&RowMask
	b.Kind[to], b.Sub[to], b.Side[to], b.Flags[to] = b.Kind[from], b.Sub[from], b.Side[from], b.Flags[from]
	b.Instrument[to], b.TsEvent[to], b.TsRecv[to], b.Sequence[to] = b.Instrument[from], b.TsEvent[from], b.TsRecv[from], b.Sequence[from]
	b.OrderID[to], b.Aux[to], b.Price[to], b.Size[to] = b.OrderID[from], b.Aux[from], b.Price[from], b.Size[from]
	b.OldPrice[to], b.OldSize[to] = b.OldPrice[from], b.OldSize[from]
}
