using System;
using System.Collections.Generic;
using Newtonsoft.Json.Linq;

namespace GameApi
{
    /// <summary>
    /// The attributes of a player or a session, for example
    /// <c>new Attributes { ["map"] = "dust", ["level"] = 5, ["ranked"] = true }</c>. At most 20 keys of letters,
    /// digits and underscores, and 16 KiB of JSON.
    /// </summary>
    public sealed class Attributes : Dictionary<string, AttributeValue>
    {
        /// <summary>No attributes.</summary>
        public Attributes()
            : base(StringComparer.Ordinal)
        {
        }

        internal static Attributes Read(JObject json)
        {
            var attributes = new Attributes();
            foreach (JProperty property in json.Properties())
            {
                attributes[property.Name] = AttributeValue.Read(property.Value);
            }
            return attributes;
        }

        internal JObject ToJson()
        {
            var json = new JObject();
            foreach (KeyValuePair<string, AttributeValue> attribute in this)
            {
                json[attribute.Key] = attribute.Value.ToJson();
            }
            return json;
        }
    }
}
