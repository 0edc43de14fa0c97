using System;
using System.Globalization;
using Newtonsoft.Json.Linq;

namespace GameApi
{
    /// <summary>The value of an attribute: a string, an integer of 64 bits, a number or a boolean.</summary>
    public readonly struct AttributeValue : IEquatable<AttributeValue>
    {
        // A string, long, double or bool; a JToken if the service sends a kind that this client does not know.
        private readonly object value;

        private AttributeValue(object value)
        {
            this.value = value;
        }

        /// <summary>The string, or null if the value is not a string.</summary>
        public string AsString => value as string;

        /// <summary>The integer, or null if the value is not an integer.</summary>
        public long? AsInteger => value as long?;

        /// <summary>The number, also of an integer, or null if the value is not a number.</summary>
        public double? AsNumber => value is long ? (long)value : value as double?;

        /// <summary>The boolean, or null if the value is not a boolean.</summary>
        public bool? AsBoolean => value as bool?;

        /// <summary>A string, which must not be null.</summary>
        public static implicit operator AttributeValue(string value)
        {
            if (value == null)
            {
                throw new ArgumentNullException(nameof(value), "An attribute can't be null.");
            }
            return new AttributeValue((object)value);
        }

        /// <summary>An integer.</summary>
        public static implicit operator AttributeValue(long value) => new AttributeValue((object)value);

        /// <summary>A number, which must be finite.</summary>
        public static implicit operator AttributeValue(double value)
        {
            if (double.IsNaN(value) || double.IsInfinity(value))
            {
                throw new ArgumentOutOfRangeException(nameof(value), "An attribute must be a finite number.");
            }
            return new AttributeValue((object)value);
        }

        /// <summary>A boolean.</summary>
        public static implicit operator AttributeValue(bool value) => new AttributeValue((object)value);

        /// <summary>Whether both have the same kind and value.</summary>
        public static bool operator ==(AttributeValue left, AttributeValue right) => left.Equals(right);

        /// <summary>Whether the kinds or the values differ.</summary>
        public static bool operator !=(AttributeValue left, AttributeValue right) => !left.Equals(right);

        /// <summary>Whether both have the same kind and value.</summary>
        public bool Equals(AttributeValue other) => Equals(value, other.value);

        /// <inheritdoc/>
        public override bool Equals(object obj) => obj is AttributeValue && Equals((AttributeValue)obj);

        /// <inheritdoc/>
        public override int GetHashCode() => value == null ? 0 : value.GetHashCode();

        /// <summary>The value as filters of lists expect it: <c>dust</c>, <c>5</c>, <c>0.5</c>, <c>true</c>.</summary>
        public override string ToString()
        {
            if (value is bool)
            {
                return (bool)value ? "true" : "false";
            }
            if (value is double)
            {
                return ((double)value).ToString("R", CultureInfo.InvariantCulture);
            }
            return Convert.ToString(value, CultureInfo.InvariantCulture);
        }

        internal static AttributeValue Read(JToken json)
        {
            object scalar = (json as JValue)?.Value;
            bool known = scalar is string || scalar is long || scalar is double || scalar is bool;
            return new AttributeValue(known ? scalar : json);
        }

        internal JToken ToJson() => value as JToken ?? new JValue(value);
    }
}
