# The table that counts requests for all instances, and the key that encrypts it.

variable "rate_limit_table_key" {
  description = "aws-owned, aws-managed, or the ARN of a customer managed key: symmetric, and of this region."
  type        = string
  default     = "aws-owned"
}

variable "responder_roles" {
  description = "Roles that may write the table beside the function: response, for make block, and deployment. Empty: no such policy."
  type        = list(string)
  default     = []
}

locals {
  rate_limit_writers     = concat([aws_iam_role.function.arn], var.responder_roles)
  table_has_customer_key = !contains(["aws-owned", "aws-managed"], var.rate_limit_table_key)
}

resource "aws_dynamodb_table" "rate_limit" {
  name         = "${var.function_name}-rate-limit"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "PK"

  attribute {
    name = "PK"
    type = "S"
  }

  ttl {
    attribute_name = "TTL"
    enabled        = true
  }

  # Not enabled does not mean not encrypted: DynamoDB then uses its own key.
  server_side_encryption {
    enabled     = var.rate_limit_table_key != "aws-owned"
    kms_key_arn = local.table_has_customer_key ? var.rate_limit_table_key : null
  }
}

# Whoever writes an item lifts a block or a limit.
resource "aws_dynamodb_resource_policy" "rate_limit" {
  count        = length(var.responder_roles) > 0 ? 1 : 0
  resource_arn = aws_dynamodb_table.rate_limit.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OnlyTheFunctionAndResponseWrite"
      Effect    = "Deny"
      Principal = "*"
      Action = [
        "dynamodb:BatchWriteItem", "dynamodb:DeleteItem", "dynamodb:PartiQLDelete", "dynamodb:PartiQLInsert",
        "dynamodb:PartiQLUpdate", "dynamodb:PutItem", "dynamodb:UpdateItem",
      ]
      Resource  = "*"
      Condition = { ArnNotEquals = { "aws:PrincipalArn" = local.rate_limit_writers } }
    }]
  })
}

# With a customer managed key, DynamoDB calls kms:Decrypt in the name of the function.
resource "aws_iam_role_policy" "open_the_table" {
  count = local.table_has_customer_key ? 1 : 0
  name  = "open-the-table"
  role  = aws_iam_role.function.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "OpenTheTable"
      Effect   = "Allow"
      Action   = "kms:Decrypt"
      Resource = var.rate_limit_table_key
      Condition = {
        StringEquals = {
          "kms:ViaService"                               = "dynamodb.${data.aws_region.current.name}.${data.aws_partition.current.dns_suffix}"
          "kms:EncryptionContext:aws:dynamodb:tableName" = aws_dynamodb_table.rate_limit.name
        }
      }
    }]
  })
}
