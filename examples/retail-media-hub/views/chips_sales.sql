-- What was sold of this brand.
SELECT shopper, cents, day FROM sales WHERE brand = 'chips'
