-- Who saw this brand's campaigns.
SELECT shopper, campaign, placement FROM contacts WHERE brand = 'chips'
